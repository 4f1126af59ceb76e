"""BitScale as an Airflow hook: a connection in, typed records out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseHook
from airflow.sdk.log import amask_secret, mask_secret

from airflow_provider_bitscale.api.config import DEFAULT_SYNC_TIMEOUT
from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.exceptions import airflow_errors
from airflow_provider_bitscale.hooks.client_provider import CONN_TYPE
from airflow_provider_bitscale.hooks.connection_check import check_connection, refused
from airflow_provider_bitscale.hooks.polling import Polling, credits_of
from airflow_provider_bitscale.runs.grid_cache import anote_grid, anote_list, note_grid, note_list
from airflow_provider_bitscale.runs.polling import RunDecision
from airflow_provider_bitscale.runs.result import completed_run, ended_run, unended_run_id

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.models import Credits, Grid, Run, RunRecipe, User, Workspace

# How often a synchronous run is polled that BitScale has lost patience with.
SYNC_POLL_INTERVAL = 5.0
_ROTATED = (
    "The API key has been rotated and the old one is dead. Store the new one in the Airflow connection %r, "
    "and wherever else the key is used."
)


class BitScaleHook(Polling, BaseHook):
    """Calls BitScale with the credentials of an Airflow connection.

    The connection chooses which contract of the API is spoken. A call that it does not have raises
    :class:`~airflow_provider_bitscale.exceptions.UnsupportedError`, which says what to use instead.

    Every method has an async twin with an ``a`` in front of its name. All raise
    :class:`~airflow_provider_bitscale.api.BitScaleError` (an ``AirflowException`` here) or a subclass, retry
    what is safe to retry, and wait for the rate limit together with all that share it.

    :param bitscale_conn_id: id of a connection of type ``bitscale``.
    """

    conn_name_attr = "bitscale_conn_id"
    default_conn_name = "bitscale_default"
    conn_type = CONN_TYPE
    hook_name = "BitScale"

    def __init__(self, bitscale_conn_id: str = default_conn_name) -> None:
        super().__init__(bitscale_conn_id)

    def get_current_user(self) -> User:
        """Who the API key belongs to (endpoint 1; v1.1.0 only)."""
        with airflow_errors(self.bitscale_conn_id):
            return self.client.get_current_user()

    async def aget_current_user(self) -> User:
        """Async twin of :meth:`get_current_user`."""
        async with self.aclient() as client:
            return await client.get_current_user()

    def list_workspaces(self) -> list[Workspace]:
        """Return the workspaces that the user is a member of (endpoint 2; v1.1.0 only)."""
        with airflow_errors(self.bitscale_conn_id):
            return self.client.list_workspaces()

    async def alist_workspaces(self) -> list[Workspace]:
        """Async twin of :meth:`list_workspaces`."""
        async with self.aclient() as client:
            return await client.list_workspaces()

    def get_workspace(self, workspace_id: str | None = None) -> Workspace:
        """Return a workspace with its plan and credits (endpoint 3).

        :param workspace_id: None for the connection's, or the key's, as everywhere.
        """
        with airflow_errors(self.bitscale_conn_id):
            return self.client.get_workspace(workspace_id)

    async def aget_workspace(self, workspace_id: str | None = None) -> Workspace:
        """Async twin of :meth:`get_workspace`."""
        async with self.aclient() as client:
            return await client.get_workspace(workspace_id)

    def get_credits(self, workspace_id: str | None = None) -> Credits:
        """Return the credits of a workspace; figures that BitScale does not give are None."""
        return credits_of(self.get_workspace(workspace_id))

    async def aget_credits(self, workspace_id: str | None = None) -> Credits:
        """Async twin of :meth:`get_credits`."""
        return credits_of(await self.aget_workspace(workspace_id))

    def list_grids(self, search: str | None = None, workspace_id: str | None = None) -> list[Grid]:
        """Return the grids of a workspace (endpoint 4).

        :param search: part of a grid's name, in any case.
        """
        with airflow_errors(self.bitscale_conn_id):
            grids = self.client.list_grids(search, workspace_id)
            note_list(self.client, grids)
            return grids

    async def alist_grids(self, search: str | None = None, workspace_id: str | None = None) -> list[Grid]:
        """Async twin of :meth:`list_grids`."""
        async with self.aclient() as client:
            grids = await client.list_grids(search, workspace_id)
            await anote_list(client, grids)
            return grids

    def get_grid(self, grid_id: str) -> Grid:
        """Return a grid with its columns (endpoint 5)."""
        with airflow_errors(self.bitscale_conn_id):
            grid = self.client.get_grid(grid_id)
            note_grid(self.client, grid)
            return grid

    async def aget_grid(self, grid_id: str) -> Grid:
        """Async twin of :meth:`get_grid`."""
        async with self.aclient() as client:
            grid = await client.get_grid(grid_id)
            await anote_grid(client, grid)
            return grid

    def get_run_recipe(self, grid_id: str, output_columns: Sequence[str] | None = None) -> RunRecipe:
        """Return what a run of a grid takes (workspace-key only).

        :param output_columns: ids of the columns wanted, which decide what inputs are needed; None for all.
        """
        with airflow_errors(self.bitscale_conn_id):
            return self.client.get_run_recipe(grid_id, output_columns)

    async def aget_run_recipe(self, grid_id: str, output_columns: Sequence[str] | None = None) -> RunRecipe:
        """Async twin of :meth:`get_run_recipe`."""
        async with self.aclient() as client:
            return await client.get_run_recipe(grid_id, output_columns)

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
    ) -> Run:
        """Run a grid on one row (endpoint 6). Costs credits each time it is called.

        A task that calls this and is retried pays again; :class:`.RunGridOperator` does not.

        :param inputs: values by column id; under workspace-key by the labels of :meth:`get_run_recipe`, and
            what it does not list is refused.
        :param mode: ``async`` returns at once with a run id, ``sync`` when the run has ended.
        :param output_columns: ids of the columns wanted; None for all.
        :param webhook_url: where BitScale shall deliver the finished run (async only; v1.1.0 only).
        :param timeout: seconds to wait for the answer, in sync mode for the end of the run; None for the
            connection's, or 900 for a sync run. Under workspace-key the answer to a sync run alone may take
            two minutes, which are waited for in any case.
        :param recipe: of the grid, for whoever has many rows to run; else it is asked for each time.
        :raises AmbiguousSubmitError: the run may have been started, or not.
        :raises RunTimedOutError: a sync run was answered as running, and has not ended in time.
        """
        with airflow_errors(self.bitscale_conn_id):
            deadline = time.time() + (timeout or DEFAULT_SYNC_TIMEOUT)
            run = self.client.run_grid(
                grid_id,
                inputs,
                mode=mode,
                output_columns=output_columns,
                webhook_url=webhook_url,
                timeout=timeout,
                recipe=recipe,
            )
            run_id = unended_run_id(run, grid_id) if mode == "sync" else None
            if run_id is None:
                return run
            decision = RunDecision(deadline, SYNC_POLL_INTERVAL, run_id)
            return ended_run(self.watch_run(grid_id, decision), grid_id, run_id)

    async def arun_grid(
        self,
        grid_id: str,
        inputs: Mapping[str, Any],
        *,
        mode: Literal["async", "sync"] = "async",
        output_columns: Sequence[str] | None = None,
        webhook_url: str | None = None,
        timeout: float | None = None,
        recipe: RunRecipe | None = None,
    ) -> Run:
        """Async twin of :meth:`run_grid`."""
        async with self.aclient() as client:
            deadline = time.time() + (timeout or DEFAULT_SYNC_TIMEOUT)
            run = await client.run_grid(
                grid_id,
                inputs,
                mode=mode,
                output_columns=output_columns,
                webhook_url=webhook_url,
                timeout=timeout,
                recipe=recipe,
            )
            run_id = unended_run_id(run, grid_id) if mode == "sync" else None
            if run_id is None:
                return run
            decision = RunDecision(deadline, SYNC_POLL_INTERVAL, run_id)
            return ended_run(await self.awatch_run(grid_id, decision), grid_id, run_id)

    def get_run(self, grid_id: str, run_id: str) -> Run:
        """Return the state of a run (endpoint 6, polling)."""
        with airflow_errors(self.bitscale_conn_id):
            return self.client.get_run(grid_id, run_id)

    async def aget_run(self, grid_id: str, run_id: str) -> Run:
        """Async twin of :meth:`get_run`."""
        async with self.aclient() as client:
            return await client.get_run(grid_id, run_id)

    def wait_for_run(
        self, grid_id: str, run_id: str, *, poll_interval: float = 5, timeout: float = 3600
    ) -> Run:
        """Poll a run until it has completed, blocking.

        :param poll_interval: seconds between polls, at most.
        :param timeout: seconds to wait; then one last poll decides.
        :raises RunFailedError: BitScale reports the run as failed.
        :raises RunTimedOutError: it has not ended in time, and goes on.
        """
        with airflow_errors(self.bitscale_conn_id):
            decision = RunDecision(time.time() + timeout, poll_interval, run_id)
            return completed_run(self.watch_run(grid_id, decision), grid_id, run_id)

    async def await_for_run(
        self, grid_id: str, run_id: str, *, poll_interval: float = 5, timeout: float = 3600
    ) -> Run:
        """Async twin of :meth:`wait_for_run`."""
        with airflow_errors(self.bitscale_conn_id):
            decision = RunDecision(time.time() + timeout, poll_interval, run_id)
            return completed_run(await self.awatch_run(grid_id, decision), grid_id, run_id)

    def rotate_api_key(self) -> str:
        """Return a new API key, masked in logs (workspace-key only). The old one is refused at once.

        This does not change the Airflow connection: store the answer in it, and wherever else the key is
        used. A task whose key is refused reads the connection again and goes on if it has a new key by then.
        Else it fails, and collects its runs when it is cleared.

        :raises AmbiguousSubmitError: the key may have been rotated, or not.
        """
        with airflow_errors(self.bitscale_conn_id):
            api_key = self.client.rotate_api_key()
        mask_secret(api_key)
        self.log.warning(_ROTATED, self.bitscale_conn_id)
        return api_key

    async def arotate_api_key(self) -> str:
        """Async twin of :meth:`rotate_api_key`."""
        async with self.aclient() as client:
            api_key = await client.rotate_api_key()
        await amask_secret(api_key)
        self.log.warning(_ROTATED, self.bitscale_conn_id)
        return api_key

    def test_connection(self) -> tuple[bool, str]:
        """Check the key and, where set, the workspace. Costs no credits.

        :return: whether all is well, and who and what was found, or what is wrong.
        """
        return check_connection(self)

    async def atest_connection(self) -> tuple[bool, str]:
        """Async twin of :meth:`test_connection`."""
        try:
            await self.aconfig()
        except BitScaleError as error:
            return refused(error)
        return await asyncio.to_thread(self.test_connection)
