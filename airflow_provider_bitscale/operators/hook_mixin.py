"""The hook of a task."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook


class HookMixin:
    """A task that calls BitScale with a connection."""

    bitscale_conn_id: str

    @cached_property
    def hook(self) -> BitScaleHook:
        """The hook of this task's connection."""
        # A DAG file that is parsed does not pay for what its tasks need when they run.
        from airflow_provider_bitscale.hooks.bitscale import BitScaleHook

        return BitScaleHook(self.bitscale_conn_id)
