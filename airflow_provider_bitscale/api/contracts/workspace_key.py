"""The API as it is served today: one key for a workspace, in ``X-API-KEY``, and no workspace header.

There is no complete document of it. What is known, observed and assumed is one table in docs/contracts.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from airflow_provider_bitscale.api.call import Call
from airflow_provider_bitscale.api.config import WORKSPACE_KEY
from airflow_provider_bitscale.api.contracts import workspace_key_parsing as answers
from airflow_provider_bitscale.api.contracts.base import Contract, search_query
from airflow_provider_bitscale.api.listing import Listing
from airflow_provider_bitscale.api.models import Grid, GridPage, RunRecipe, User, Workspace
from airflow_provider_bitscale.api.run_answers import RunSpelling

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
    run_spelling: ClassVar[RunSpelling] = RunSpelling(run_id=("request_id", "run_id"), cells=True)
    poll_endpoint: ClassVar[str] = "GET /run/status/{run_id}"
    identity_path: ClassVar[str] = "GET /workspace"

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

    def rotate_api_key(self) -> Call[str]:
        """``POST /api-key/rotate``."""
        call = self._call("POST /api-key/rotate", answers.parse_api_key)
        return replace(call, ambiguity=ROTATION_AMBIGUITY, is_about_key=True)

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

    def _sync_timeout(self, timeout: float | None) -> float:
        # To hang up before BitScale answers is to lose the id of a run that is paid for.
        return SYNC_ANSWER_TIMEOUT

    def _refuse_workspace(self, workspace_id: str | None) -> None:
        if workspace_id is not None:
            raise self._unsupported("workspace_id", "the key names the workspace, leave it out")
