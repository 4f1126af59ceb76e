"""The documented API, v1.1.0: a personal key in ``api_key``, a workspace in ``workspace-id``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from airflow_provider_bitscale.api import parsing
from airflow_provider_bitscale.api.call import Call
from airflow_provider_bitscale.api.config import DEFAULT_SYNC_TIMEOUT, V1_1_0, fits_header
from airflow_provider_bitscale.api.contracts.base import (
    RUN_AMBIGUITY,
    Contract,
    run_body,
    search_query,
)
from airflow_provider_bitscale.api.errors import ConfigurationError, InvalidRequestError
from airflow_provider_bitscale.api.listing import Listing
from airflow_provider_bitscale.api.models import Grid, Run, RunRecipe, User, Workspace
from airflow_provider_bitscale.api.run_answers import DOCUMENTED, read_accepted_run, read_polled_run


class DocumentedContract(Contract):
    """API v1.1.0. Inputs are keyed by column id, and a synchronous run is answered when it has ended."""

    name: ClassVar[str] = V1_1_0
    key_header: ClassVar[str] = "api_key"
    assumed_per_second: ClassVar[float | None] = None
    needs_recipe: ClassVar[bool] = False
    tells_run_credits: ClassVar[bool] = True
    delivers_runs: ClassVar[bool] = True
    cuts_sync_off: ClassVar[bool] = False
    identity_path: ClassVar[str] = "GET /user/me"

    def get_current_user(self) -> Call[User]:
        """Endpoint 1, Get Current User."""
        return self._call(self.identity_path, parsing.parse_user)

    def list_workspaces(self) -> Call[list[Workspace]]:
        """Endpoint 2, List Workspaces."""
        return self._call("GET /workspaces", parsing.parse_workspaces)

    def get_workspace(self, workspace_id: str | None = None) -> Call[Workspace]:
        """Endpoint 3, Get Workspace Details."""
        workspace_id = self._workspace(workspace_id)
        return self._call(
            "GET /workspaces/{workspace_id}", parsing.parse_workspace, workspace_id=workspace_id
        )

    def list_grids(self, search: str | None = None, workspace_id: str | None = None) -> Listing:
        """Endpoint 4, List Grids in a Workspace: the whole list at once."""
        workspace_id = self._workspace(workspace_id)
        call = self._call(
            "GET /workspaces/{workspace_id}/grids",
            parsing.parse_grids,
            query=search_query(search),
            headers=self._workspace_header(workspace_id),
            workspace_id=workspace_id,
        )
        return Listing(lambda _: call)

    def get_grid(self, grid_id: str) -> Call[Grid]:
        """Endpoint 5, Get Grid Details."""
        return self._call(
            "GET /grids/{grid_id}", parsing.parse_grid, headers=self._workspace_header(), grid_id=grid_id
        )

    def get_run_recipe(self, grid_id: str, output_columns: Sequence[str] | None = None) -> Call[RunRecipe]:
        """Not in this contract."""
        raise self._unsupported("run recipe", "get_grid tells a grid's inputs, which are named by column id")

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
        """Endpoint 6, Run a Grid."""
        body = run_body(inputs, mode=mode, output_columns=output_columns, webhook_url=webhook_url)
        return self._call(
            "POST /grids/{grid_id}/run",
            partial(read_accepted_run, spelling=DOCUMENTED),
            headers=self._workspace_header(),
            body=body,
            ambiguity=RUN_AMBIGUITY,
            paid=True,
            timeout=DEFAULT_SYNC_TIMEOUT if timeout is None and mode == "sync" else timeout,
            grid_id=grid_id,
        )

    def get_run(self, grid_id: str, run_id: str) -> Call[Run]:
        """Endpoint 6, Polling for Results."""
        return self._call(
            "GET /grids/{grid_id}/runs/{run_id}",
            partial(read_polled_run, spelling=DOCUMENTED, run_id=run_id),
            headers=self._workspace_header(),
            grid_id=grid_id,
            run_id=run_id,
        )

    def rotate_api_key(self) -> Call[str]:
        """Not in this contract."""
        raise self._unsupported("key rotation", "make a new key in your BitScale account settings")

    def identity(self) -> tuple[Call[User] | None, Call[Workspace] | None]:
        """Return the user, and the workspace if the configuration names one."""
        workspace = None if self._config.workspace_id is None else self.get_workspace()
        return self.get_current_user(), workspace

    @property
    def _has_other_key(self) -> bool:
        return self._has_workspace_key

    def _hint_on_key(self) -> str:
        if self._has_workspace_key:
            return (
                "It looks like the key of a workspace, which travels in another header: "
                "api_contract 'workspace-key' is the likely cure."
            )
        return "If it is the key of a workspace, and not of a person, set api_contract to 'workspace-key'."

    def _workspace(self, workspace_id: str | None) -> str:
        workspace_id = self._config.workspace_id if workspace_id is None else workspace_id
        if workspace_id is None:
            hint = f". {self._hint_on_key()}" if self._has_other_key else ""
            raise ConfigurationError(f"a workspace id is needed here, and workspace_id is not set{hint}")
        return workspace_id

    def _workspace_header(self, workspace_id: str | None = None) -> dict[str, str]:
        workspace_id = self._workspace(workspace_id)
        if not (isinstance(workspace_id, str) and workspace_id and fits_header(workspace_id)):
            raise InvalidRequestError(f"workspace_id must be a non-empty id, not {workspace_id!r}")
        return {"workspace-id": workspace_id}
