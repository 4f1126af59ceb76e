"""Waits until there are enough credits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.operators.rendered import options_of
from airflow_provider_bitscale.sensors.outcome import OutcomeSensor

if TYPE_CHECKING:
    from airflow_provider_bitscale.sensors.awaited import AwaitedCredits


class CreditsSensor(OutcomeSensor):
    """Succeeds once ``credits.remaining >= min_credits``; its XCom is ``{total, used, remaining}`` as seen.

    :param min_credits: credits to wait for.
    :param workspace_id: the workspace; None for the connection's.
    :param bitscale_conn_id: id of a connection of type ``bitscale``.
    :param deferrable: wait in the triggerer; None for ``[operators] default_deferrable``.
    """

    template_fields: Sequence[str] = ("workspace_id", "bitscale_conn_id")

    def __init__(
        self,
        *,
        min_credits: float,
        workspace_id: str | None = None,
        bitscale_conn_id: str = "bitscale_default",
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(bitscale_conn_id=bitscale_conn_id, deferrable=deferrable, **kwargs)
        self.min_credits = min_credits
        self.workspace_id = workspace_id
        self._check(min_credits=min_credits)

    @cached_property
    def awaited(self) -> AwaitedCredits:
        """The workspace, as the arguments of this process name it."""
        # A DAG file that is parsed does not pay for what its tasks need when they run.
        from airflow_provider_bitscale.sensors.awaited import AwaitedCredits

        return options_of(AwaitedCredits, self)
