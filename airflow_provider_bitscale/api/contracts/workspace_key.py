"""The API as it is served today: one key for a workspace, in ``X-API-KEY``, and no workspace header.

There is no complete document of it. What is known, observed and assumed is one table in the README.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from airflow_provider_bitscale.api.blank import is_blank
from airflow_provider_bitscale.api.call import Call
from airflow_provider_bitscale.api.config import WORKSPACE_KEY
from airflow_provider_bitscale.api.contracts import workspace_key_parsing as answers
from airflow_provider_bitscale.api.contracts.base import RUN_AMBIGUITY, Contract, run_body, search_query
from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.api.listing import Listing
from airflow_provider_bitscale.api.models import Grid, GridPage, Run, RunRecipe, User, Workspace
from airflow_provider_bitscale.api.run_answers import RunSpelling, read_accepted_run, read_polled_run

_SPELLING = RunSpelling(run_id=("request_id", "run_id"), cells=True)
# The most that one page of a list may hold.
PAGE_SIZE = 100
# A synchronous run is answered after 120 s at the latest, as running; and the answer has to travel.
SYNC_ANSWER_TIMEOUT = 150.0
ROTATION_AMBIGUITY = (
    "the key may have been rotated, or not: if the old one is refused from now on, take the new one from "
    "your workspace's settings in BitScale"
)


class WorkspaceKeyContract(Contract):
    """The API of workspace keys.

    Inputs are keyed by the labels of the run recipe. A synchronous run that takes longer than BitScale waits
    is answered as running, with an id.
    """

    name: ClassVar[str] = WORKSPACE_KEY
    key_header: ClassVar[str] = "X-API-KEY"
    assumed_per_second: ClassVar[float | None] = 5.0
    needs_recipe: ClassVar[bool] = True
    tells_run_credits: ClassVar[bool] = False
    delivers_runs: ClassVar[bool] = False
    cuts_sync_off: ClassVar[bool] = True
    identity_path: ClassVar[str] = "GET /workspace"

    def get_current_user(self) -> Call[User]:
        """Not in this contract."""
        raise self._unsupported("users", "get_workspace tells whose key it is")

    def list_workspaces(self) -> Call[list[Workspace]]:
        """Not in this contract."""
        raise self._unsupported("list of workspaces", "get_workspace tells the one that the key belongs to")

    def get_workspace(self, workspace_id: str | None = None) -> Call[Workspace]:
        """``GET /workspace``."""
        self._refuse_workspace(workspace_id)
        return self._call(self.identity_path, answers.parse_workspace)

    def list_grids(self, search: str | None = None, workspace_id: str | None = None) -> Listing:
        """``GET /grids``, page by page."""
        self._refuse_workspace(workspace_id)
        searched = search_query(search)

        def page(number: int) -> Call[GridPage]:
            query = {**searched, "page": number, "limit": PAGE_SIZE}
            return self._call("GET /grids", answers.parse_grids, query=query)

        return Listing(page, PAGE_SIZE)

    def get_grid(self, grid_id: str) -> Call[Grid]:
        """``GET /grids/:gridId``."""
        return self._call("GET /grids/{grid_id}", answers.parse_grid, grid_id=grid_id)

    def get_run_recipe(self, grid_id: str, output_columns: Sequence[str] | None = None) -> Call[RunRecipe]:
        """``GET /grids/:gridId/curl``."""
        query = None if output_columns is None else {"output_columns": ",".join(output_columns)}
        return self._call("GET /grids/{grid_id}/curl", answers.parse_recipe, query=query, grid_id=grid_id)

    def run_grid(
        self,
        grid_id: str,
        inputs: Mapping[str, Any],
        *,
        mode: str,
        output_columns: Sequence[str] | None = None,
        webhook_url: str | None = None,
        recipe: RunRecipe | None = None,
        timeout: float | None = None,
    ) -> Call[Run]:
        """``POST /grids/:gridId/run``.

        What the server does with a label that it does not know is not documented. It may well run, and
        bill, a blank row: such a request does not leave, nor does one without any value. A synchronous run is
        waited for until BitScale answers: to hang up earlier is to lose the id of a run that is paid for.
        """
        if webhook_url is not None:
            raise self._unsupported("webhook_url", "wait for the run, or poll it")
        body = run_body(inputs, mode=mode, output_columns=output_columns, webhook_url=None)
        labels = () if recipe is None else recipe.inputs
        if unknown := [key for key in inputs if key not in labels]:
            raise InvalidRequestError(
                f"{', '.join(map(repr, unknown))}: no input of the grid, and might be billed as a blank row; "
                f"its run recipe lists {', '.join(map(repr, labels)) or 'none'}"
            )
        if all(map(is_blank, inputs.values())):
            raise InvalidRequestError("no input has a value: a blank row would be paid for")
        return self._call(
            "POST /grids/{grid_id}/run",
            partial(read_accepted_run, spelling=_SPELLING),
            body=body,
            ambiguity=RUN_AMBIGUITY,
            paid=True,
            timeout=SYNC_ANSWER_TIMEOUT if mode == "sync" else timeout,
            grid_id=grid_id,
        )

    def get_run(self, grid_id: str, run_id: str) -> Call[Run]:
        """``GET /run/status/:requestId``; the grid's id is not needed."""
        parse = partial(read_polled_run, spelling=_SPELLING, run_id=run_id)
        return self._call("GET /run/status/{run_id}", parse, run_id=run_id)

    def rotate_api_key(self) -> Call[str]:
        """``POST /api-key/rotate``."""
        endpoint = "POST /api-key/rotate"
        return self._call(endpoint, answers.parse_api_key, ambiguity=ROTATION_AMBIGUITY, is_about_key=True)

    def identity(self) -> tuple[Call[User] | None, Call[Workspace] | None]:
        """Return the workspace of the key."""
        return None, self.get_workspace()

    @property
    def _has_other_key(self) -> bool:
        return not self._has_workspace_key

    def _hint_on_key(self) -> str:
        if self._has_workspace_key:
            return "It looks like the key of a workspace, as it should; it may have been rotated."
        return (
            "It does not look like the key of a workspace, which begins with sk-live-. A person's key goes "
            "in another header: api_contract 'v1.1.0', with a workspace_id, is the likely cure."
        )

    def _refuse_workspace(self, workspace_id: str | None) -> None:
        if workspace_id is not None:
            raise self._unsupported("workspace_id", "the key names the workspace, leave it out")
