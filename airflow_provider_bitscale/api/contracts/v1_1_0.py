"""The documented API, v1.1.0: a personal key in ``api_key``, a workspace in ``workspace-id``."""

from __future__ import annotations

from typing import ClassVar

from airflow_provider_bitscale.api import parsing
from airflow_provider_bitscale.api.call import Call
from airflow_provider_bitscale.api.config import DEFAULT_SYNC_TIMEOUT, V1_1_0, fits_header
from airflow_provider_bitscale.api.contracts.base import Contract, search_query
from airflow_provider_bitscale.api.errors import ConfigurationError, InvalidRequestError
from airflow_provider_bitscale.api.listing import Listing
from airflow_provider_bitscale.api.models import Grid, User, Workspace
from airflow_provider_bitscale.api.run_answers import DOCUMENTED, RunSpelling


class DocumentedContract(Contract):
    """API v1.1.0. Inputs are keyed by column id, and a synchronous run is answered when it has ended."""

    name: ClassVar[str] = V1_1_0
    key_header: ClassVar[str] = "api_key"
    assumed_per_second: ClassVar[float | None] = None
    needs_recipe: ClassVar[bool] = False
    tells_run_credits: ClassVar[bool] = True
    delivers_runs: ClassVar[bool] = True
    cuts_sync_off: ClassVar[bool] = False
    run_spelling: ClassVar[RunSpelling] = DOCUMENTED
    poll_endpoint: ClassVar[str] = "GET /grids/{grid_id}/runs/{run_id}"
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
            headers=self._grid_headers(workspace_id),
            workspace_id=workspace_id,
        )
        return Listing(lambda _: call)

    def get_grid(self, grid_id: str) -> Call[Grid]:
        """Endpoint 5, Get Grid Details."""
        return self._call(
            "GET /grids/{grid_id}", parsing.parse_grid, headers=self._grid_headers(), grid_id=grid_id
        )

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

    def _sync_timeout(self, timeout: float | None) -> float:
        return DEFAULT_SYNC_TIMEOUT if timeout is None else timeout

    def _workspace(self, workspace_id: str | None) -> str:
        workspace_id = self._config.workspace_id if workspace_id is None else workspace_id
        if workspace_id is None:
            hint = f". {self._hint_on_key()}" if self._has_other_key else ""
            raise ConfigurationError(f"a workspace id is needed here, and workspace_id is not set{hint}")
        return workspace_id

    def _grid_headers(self, workspace_id: str | None = None) -> dict[str, str]:
        workspace_id = self._workspace(workspace_id)
        if not (isinstance(workspace_id, str) and workspace_id and fits_header(workspace_id)):
            raise InvalidRequestError(f"workspace_id must be a non-empty id, not {workspace_id!r}")
        return {"workspace-id": workspace_id}
