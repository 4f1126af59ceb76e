"""What every contract offers: one method for each call, and the differences that clients must know."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, ClassVar, Literal, TypeVar
from urllib.parse import quote, urlencode

from airflow_provider_bitscale import __version__
from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.blank import is_blank
from airflow_provider_bitscale.api.call import Call
from airflow_provider_bitscale.api.config import DEFAULT_BASE_URL, ClientConfig
from airflow_provider_bitscale.api.fields import in_path
from airflow_provider_bitscale.api.listing import Listing
from airflow_provider_bitscale.api.models import Grid, Run, RunRecipe, User, Workspace
from airflow_provider_bitscale.api.run_answers import RunSpelling, read_accepted_run, read_polled_run

T = TypeVar("T")

RUN_AMBIGUITY = "the run may have been started and paid for, or not"
# Usual ids need no quoting, and a batch sends thousands.
_NEEDS_NO_QUOTES = re.compile(r"[\w~.-]+", re.ASCII).fullmatch
# Codes of BitScale's own 404s. Any other 404 means an unknown path.
_NOT_FOUND = ("WORKSPACE_NOT_FOUND", "GRID_NOT_FOUND", "RUN_NOT_FOUND")
_USER_AGENT = f"airflow-provider-bitscale/{__version__}"


class Contract(ABC):
    """One contract of the API, with the credentials to speak it.

    Pure: it prepares calls, and each call reads its own answer; the two clients only send. A call that a
    contract does not have raises UnsupportedError.
    """

    name: ClassVar[str]
    key_header: ClassVar[str]
    assumed_per_second: ClassVar[float | None]
    """Requests a second, assumed until the server's headers tell its limit; None for no assumption."""
    needs_recipe: ClassVar[bool]
    """Whether inputs are named by a run recipe, without which no run may be submitted."""
    tells_run_credits: ClassVar[bool]
    """Whether a run that has ended says what it cost."""
    delivers_runs: ClassVar[bool]
    """Whether a run that has ended is delivered to a webhook."""
    cuts_sync_off: ClassVar[bool]
    """Whether a sync run may be answered before it has ended, and has to be waited for then."""
    run_spelling: ClassVar[RunSpelling]
    """How answers about runs are documented."""
    poll_endpoint: ClassVar[str]
    identity_path: ClassVar[str]
    """Method and path of the call that tells whose key it is: no other contract has it."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._headers = {
            self.key_header: config.api_key,
            "Accept": "application/json",
            "User-Agent": _USER_AGENT,
        }

    def get_current_user(self) -> Call[User]:
        """Return the user that the key belongs to."""
        raise self._unsupported("users", "get_workspace tells whose key it is")

    def list_workspaces(self) -> Call[list[Workspace]]:
        """Return the workspaces of the user."""
        raise self._unsupported("list of workspaces", "get_workspace tells the one that the key belongs to")

    @abstractmethod
    def get_workspace(self, workspace_id: str | None = None) -> Call[Workspace]:
        """Return a workspace with its plan and credits.

        :param workspace_id: None for the one that the configuration or the key names, as everywhere.
        """

    @abstractmethod
    def list_grids(self, search: str | None = None, workspace_id: str | None = None) -> Listing:
        """Return the grids of a workspace, page by page."""

    @abstractmethod
    def get_grid(self, grid_id: str) -> Call[Grid]:
        """Return a grid with its columns."""

    def get_run_recipe(self, grid_id: str, output_columns: Sequence[str] | None = None) -> Call[RunRecipe]:
        """Return what a run of a grid takes, for all or some of its output columns."""
        raise self._unsupported("run recipe", "get_grid tells a grid's inputs, which are named by column id")

    def run_grid(
        self,
        grid_id: str,
        inputs: Mapping[str, Any],
        *,
        mode: Literal["async", "sync"],
        output_columns: Sequence[str] | None = None,
        webhook_url: str | None = None,
        recipe: RunRecipe | None = None,
        timeout: float | None = None,
    ) -> Call[Run]:
        """``POST /grids/:gridId/run``, the same in every contract but for the keys of the inputs.

        :param recipe: of the grid; needed where ``needs_recipe``.
        :param timeout: seconds that the caller would wait for the answer, in sync mode for the run's end.
        :raises InvalidRequestError: the inputs are not a JSON object, or might be billed as a blank row.
        """
        if webhook_url is not None and not self.delivers_runs:
            raise self._unsupported("webhook_url", "wait for the run, or poll it")
        body = _run_body(inputs, mode=mode, output_columns=output_columns, webhook_url=webhook_url)
        if self.needs_recipe:
            _refuse_blank_row(inputs, () if recipe is None else recipe.inputs)
        parse = partial(read_accepted_run, spelling=self.run_spelling)
        headers = {**self._grid_headers(), "Content-Type": "application/json"}
        call = self._call("POST /grids/{grid_id}/run", parse, headers=headers, grid_id=grid_id)
        timeout = self._sync_timeout(timeout) if mode == "sync" else timeout
        return replace(call, ambiguity=RUN_AMBIGUITY, paid=True, body=body, timeout=timeout)

    def get_run(self, grid_id: str, run_id: str) -> Call[Run]:
        """Return the state of a run."""
        parse = partial(read_polled_run, spelling=self.run_spelling, run_id=run_id)
        return self._call(
            self.poll_endpoint, parse, headers=self._grid_headers(), grid_id=grid_id, run_id=run_id
        )

    def rotate_api_key(self) -> Call[str]:
        """Return a new key in place of the one in use, which is dead from then on."""
        raise self._unsupported("key rotation", "make a new key in your BitScale account settings")

    @abstractmethod
    def identity(self) -> tuple[Call[User] | None, Call[Workspace] | None]:
        """Return the calls, if any, that tell the user and the workspace of the key."""

    @abstractmethod
    def _sync_timeout(self, timeout: float | None) -> float:
        """Return the seconds to wait for the answer to a synchronous run."""

    def _grid_headers(self) -> dict[str, str]:
        return {}

    @property
    def _has_workspace_key(self) -> bool:
        return self._config.api_key.startswith("sk-live-")

    def hint_on(self, error: errors.BitScaleError) -> str | None:
        """Return the likely cure of an error: the other contract, another id or base URL; None if unknown.

        A server that speaks another contract misses the key in its own header, or does not know the path.
        """
        if error.code == "GRID_NOT_FOUND":
            return "Grids are named by their ids: list_grids() of the hook or client lists them"
        unknown_path = error.status == 404 and error.code not in _NOT_FOUND
        told_apart = self._has_other_key or error.request == self.identity_path
        if isinstance(error, errors.AuthenticationError) or (unknown_path and told_apart):
            return self._hint_on_key()
        if unknown_path and self._config.base_url != DEFAULT_BASE_URL:
            return f"Is the base URL right, {self._config.base_url}?"
        return None

    @property
    @abstractmethod
    def _has_other_key(self) -> bool:
        """Whether the key looks like one of another contract."""

    @abstractmethod
    def _hint_on_key(self) -> str:
        """Advice for a key that is refused, by what it looks like."""

    def _call(
        self,
        endpoint: str,
        parse: Callable[[Any], T],
        *,
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        **ids: str,
    ) -> Call[T]:
        """Return a call of an endpoint such as ``GET /grids/{grid_id}``."""
        method, _, template = endpoint.partition(" ")
        path = template.format(**{name: _quoted(name, value) for name, value in ids.items()})
        url = self._config.base_url + path + (f"?{urlencode(query)}" if query else "")
        all_headers = {**self._headers, **(headers or {})}
        label = f"{method} {path}"
        return Call(method, url, label, _metric_word(endpoint), all_headers, parse, self.hint_on)

    def _unsupported(self, what: str, instead: str) -> errors.UnsupportedError:
        return errors.UnsupportedError(f"the API contract {self.name} has no {what}: {instead}")


def _run_body(
    inputs: Mapping[str, Any], *, mode: str, output_columns: Sequence[str] | None, webhook_url: str | None
) -> bytes:
    if not isinstance(inputs, Mapping):
        raise errors.InvalidRequestError(f"inputs must map columns to values, not {type(inputs).__name__}")
    request: dict[str, Any] = {"mode": mode, "inputs": dict(inputs)}
    if output_columns is not None:
        request["output_columns"] = list(output_columns)
    if webhook_url is not None:
        request["webhook_url"] = webhook_url
    try:
        return json.dumps(request, allow_nan=False).encode()
    except (TypeError, ValueError) as problem:
        raise errors.InvalidRequestError(f"the inputs are not JSON: {problem}") from None


def _refuse_blank_row(inputs: Mapping[str, Any], labels: Sequence[str]) -> None:
    # It is not documented what the server does with an unknown label: it may bill a blank row.
    if unknown := [key for key in inputs if key not in labels]:
        raise errors.InvalidRequestError(
            f"{', '.join(map(repr, unknown))}: no input of the grid, and might be billed as a blank row; "
            f"its run recipe lists {', '.join(map(repr, labels)) or 'none'}"
        )
    if all(map(is_blank, inputs.values())):
        raise errors.InvalidRequestError("no input has a value: a blank row would be paid for")


def search_query(search: str | None) -> dict[str, str | int]:
    """Return the query that searches a list by name, which must be text."""
    if search is None:
        return {}
    try:
        search.encode()
    except (AttributeError, UnicodeEncodeError):
        raise errors.InvalidRequestError(f"search is not text: {search!r}") from None
    return {"search": search}


@cache
def _metric_word(endpoint: str) -> str:
    """Return an endpoint in characters that every kind of metrics takes."""
    return re.sub(r"[^a-z0-9]+", "_", endpoint.lower()).strip("_")


def _quoted(name: str, value: str) -> str:
    if not isinstance(value, str) or not in_path(value):
        raise errors.InvalidRequestError(f"{name} must be a non-empty id, not {value!r}")
    if _NEEDS_NO_QUOTES(value):
        return value
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise errors.InvalidRequestError(f"{name} is not text: {value!r}") from None
