"""The sync client: requests, around the pure parts of this package."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

import requests
from urllib3.exceptions import HTTPError

from airflow_provider_bitscale.api.answer_body import AnswerBody, BodyError
from airflow_provider_bitscale.api.attempts import Attempts
from airflow_provider_bitscale.api.call import Call, Partial
from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.api.connections import may_have_been_sent, open_session
from airflow_provider_bitscale.api.contracts import Contract
from airflow_provider_bitscale.api.credentials import Access, Credentials, ReadKey
from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.api.limit.pacer import Pacer
from airflow_provider_bitscale.api.metrics import count_request
from airflow_provider_bitscale.api.models import Grid, Run, RunRecipe, User, Workspace
from airflow_provider_bitscale.api.network import causes, warn_once
from airflow_provider_bitscale.api.shared_state.hints import Hints

T = TypeVar("T")


class SubmitObserver(Protocol):
    """Is told what happens to a request that may be sent only once."""

    def about_to_send(self) -> None:
        """Prepare for the request, which leaves next unless this raises."""

    def not_processed(self) -> None:
        """Note that the request provably was not processed and may be sent again."""


class Client:
    """Calls BitScale from one thread at a time; use as a context manager, or :meth:`close` it.

    Every method raises :class:`~airflow_provider_bitscale.api.errors.BitScaleError` or one of its
    subclasses, retries what is safe to retry, and waits for the rate limit. What the contract of the
    configuration does not have raises :class:`~airflow_provider_bitscale.api.errors.UnsupportedError`.

    :param config: credentials and settings.
    :param read_key: reads the API key again when the server refuses it; if there is another by then, the
        request is sent once more, and the client goes on with that key. None to let the refusal stand.
    """

    def __init__(self, config: ClientConfig, read_key: ReadKey | None = None) -> None:
        self._credentials = Credentials(config, read_key)
        self._session = open_session(config.network)
        for warning in config.warnings:
            warn_once(warning)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def config(self) -> ClientConfig:
        """Settings, and the API key that is in use now."""
        return self._credentials.access.config

    @property
    def contract(self) -> Contract:
        """Prepares the calls."""
        return self._credentials.access.contract

    @property
    def hints(self) -> Hints:
        """What processes that share the limit tell each other of its grids."""
        return self._credentials.access.hints

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get_current_user(self) -> User:
        """Endpoint 1, Get Current User (v1.1.0 only)."""
        return self.send(self.contract.get_current_user())

    def list_workspaces(self) -> list[Workspace]:
        """Endpoint 2, List Workspaces (v1.1.0 only)."""
        return self.send(self.contract.list_workspaces())

    def get_workspace(self, workspace_id: str | None = None) -> Workspace:
        """Endpoint 3, Get Workspace Details.

        :param workspace_id: None for the one that the configuration or the key names, as everywhere.
        """
        return self.send(self.contract.get_workspace(workspace_id))

    def list_grids(self, search: str | None = None, workspace_id: str | None = None) -> list[Grid]:
        """Endpoint 4, List Grids in a Workspace.

        :param search: part of a name, in any case.
        """
        listing = self.contract.list_grids(search, workspace_id)
        while (call := listing.next_call()) is not None:
            listing.add(self.send(call))
        return listing.grids

    def get_grid(self, grid_id: str) -> Grid:
        """Endpoint 5, Get Grid Details."""
        return self.send(self.contract.get_grid(grid_id))

    def get_run_recipe(self, grid_id: str, output_columns: Sequence[str] | None = None) -> RunRecipe:
        """Return what a run of a grid takes (workspace-key only).

        :param output_columns: ids of the columns wanted, which decide what inputs are needed; None for all.
        """
        return self.send(self.contract.get_run_recipe(grid_id, output_columns))

    def needed_recipe(self, grid_id: str) -> RunRecipe | None:
        """Return the recipe with a grid's input names; None if the contract names inputs by column id."""
        # For all columns: what the wanted ones do not need is an input of the grid all the same.
        return self.get_run_recipe(grid_id) if self.contract.needs_recipe else None

    def run_grid(
        self,
        grid_id: str,
        inputs: Mapping[str, Any],
        *,
        mode: Literal["async", "sync"] = "async",
        output_columns: Sequence[str] | None = None,
        webhook_url: str | None = None,
        timeout: float | None = None,
        recipe: RunRecipe | None = None,
        observer: SubmitObserver | None = None,
    ) -> Run:
        """Endpoint 6, Run a Grid. Costs credits, and is never sent twice unless provably not processed.

        :param inputs: values by column id; under workspace-key by the labels of the run recipe.
        :param mode: ``async`` returns at once with a run id, ``sync`` when the run has ended or, under
            workspace-key, after two minutes: then as running, with a run id to poll.
        :param output_columns: ids of the columns wanted; None for all.
        :param webhook_url: where BitScale shall deliver the finished run (async only; not under
            workspace-key).
        :param timeout: seconds to wait for the answer; None for the configuration's, or 900 for a sync run.
            Under workspace-key a sync run is waited for until it is answered, whatever is given.
        :param recipe: of this grid; None to ask for it.
        :param observer: told when the request leaves, after all waiting for the rate limit.
        :raises AmbiguousSubmitError: the run may have been started, or not.
        """
        call = self.contract.run_grid(
            grid_id,
            inputs,
            mode=mode,
            output_columns=output_columns,
            webhook_url=webhook_url,
            recipe=recipe or self.needed_recipe(grid_id),
            timeout=timeout,
        )
        return self.send(call, observer=observer)

    def get_run(self, grid_id: str, run_id: str) -> Run:
        """Endpoint 6, Polling for Results."""
        return self.send(self.contract.get_run(grid_id, run_id))

    def rotate_api_key(self) -> str:
        """Return a new API key (workspace-key only). The one in use is dead from then on, in this client too.

        :raises AmbiguousSubmitError: the key may have been rotated, or not.
        """
        return self.send(self.contract.rotate_api_key())

    def identify(self) -> tuple[User | None, Workspace | None]:
        """Return the user and the workspace of the key; None for what is not known."""
        user, workspace = self.contract.identity()
        return (
            None if user is None else self.send(user),
            None if workspace is None else self.send(workspace),
        )

    def run_poller(self, grid_id: str, run_id: str) -> Callable[[], Run]:
        """Return a function that polls a run: one attempt a call, no long wait for the rate limit."""
        return partial(self.send, self.contract.get_run(grid_id, run_id), patient=False)

    def workspace_poller(self, workspace_id: str | None = None) -> Callable[[], Workspace]:
        """Return a function that asks for a workspace, one attempt each time."""
        return partial(self.send, self.contract.get_workspace(workspace_id), patient=False)

    def send(self, call: Call[T], *, patient: bool = True, observer: SubmitObserver | None = None) -> T:
        """Send a call, again where that is safe, and read the answer.

        :param patient: False for one attempt, and no long wait for the rate limit.
        """
        attempts = Attempts(call, patient=patient)
        while True:
            access = self._credentials.access
            access.pacer.wait(patient=patient)
            attempts.begin()
            try:
                return self._attempt(access.keyed(call), access, observer)
            except BitScaleError as error:
                renewed = attempts.wants_new_key(error) and self._credentials.renew(access, attempts.left_at)
                pause = 0.0 if renewed else attempts.pause_after(error)
            if observer is not None:
                observer.not_processed()
            time.sleep(pause)

    def _attempt(self, call: Call[T], access: Access, observer: SubmitObserver | None) -> T:
        config, pacer = access.config, access.pacer
        timeout = call.timeout or config.timeout
        response: requests.Response | None = None
        body, began = AnswerBody(None), time.monotonic()
        try:
            if observer is not None:
                observer.about_to_send()
        except BaseException:
            pacer.failed()
            raise
        if call.ambiguity is not None:
            # The server may just be closing a kept connection, and a request that is lost on it is ambiguous.
            self._session.close()
        try:
            response = self._session.request(
                call.method,
                call.url,
                headers=call.headers,
                data=call.body,
                timeout=(config.timeout, timeout),
                allow_redirects=False,
                stream=True,
            )
            body = AnswerBody(response.headers.get("Content-Encoding"))
            whole = _read(response, body)
        except _FAILURES as error:
            count_request(call.endpoint, None)
            chain = list(causes(error))
            got = Partial()
            if response is None:
                pacer.failed()
            else:
                self._note_answer(pacer, response, began)
                got = Partial(response.status_code, response.headers, body.so_far)
            # The innermost cause has the reason; the outer ones repeat the URL.
            return call.unanswered(config, chain, str(chain[-1]), sent=may_have_been_sent(chain), got=got)
        except BaseException:
            count_request(call.endpoint, None)
            pacer.failed()
            raise
        count_request(call.endpoint, response.status_code)
        self._note_answer(pacer, response, began)
        return call.read(config, response.status_code, response.headers, whole)

    @staticmethod
    def _note_answer(pacer: Pacer, response: requests.Response, began: float) -> None:
        pacer.answered(response.status_code, response.headers, took=time.monotonic() - began)


# requests and urllib3 let some of the standard library's through.
_FAILURES = (requests.RequestException, HTTPError, http.client.HTTPException, OSError, ValueError, BodyError)


def _read(response: requests.Response, body: AnswerBody) -> bytes:
    with response:
        while piece := response.raw.read1(65536, decode_content=False):
            body.add(piece)
    return body.end()
