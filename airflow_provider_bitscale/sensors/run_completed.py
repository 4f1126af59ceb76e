"""Waits for a run that was started elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.links import BitScaleGridLink, BitScaleResultLink
from airflow_provider_bitscale.operators.rendered import options_of
from airflow_provider_bitscale.runs.options import OutputKey
from airflow_provider_bitscale.sensors.outcome import OutcomeSensor

if TYPE_CHECKING:
    from airflow_provider_bitscale.sensors.awaited import AwaitedRun


class RunCompletedSensor(OutcomeSensor):
    """Succeeds when a run has completed; its XCom is the same as that of :class:`.RunGridOperator`.

    A run that BitScale reports as failed fails the task without retries, since waiting again is of no use; a
    poll that does not get through does not.

    :param grid_id: id of the run's grid.
    :param run_id: id of the run, such as ``"{{ ti.xcom_pull('submit')['run_id'] }}"``.
    :param delivery_address: where the run's webhook delivery will be:
        ``submit.output["delivery_address"]`` of a :class:`.RunGridOperator` with ``webhook_url``; polls of a
        deferred sensor are rare until it comes. (templated)
    :param trust_webhook: take a delivery for the result, rather than poll once more.
    :param miss_values: texts that stand for nothing found, as in :class:`.RunGridOperator`.
    :param key_outputs_by: keys of the outputs in the XCom: ``name`` or ``id`` of the column.
    :param poke_interval: seconds between polls, in every mode.
    :param timeout: seconds to wait; then one last poll decides.
    :param bitscale_conn_id: id of a connection of type ``bitscale``.
    :param deferrable: wait in the triggerer; None for ``[operators] default_deferrable``.
    """

    template_fields: Sequence[str] = ("grid_id", "run_id", "delivery_address", "bitscale_conn_id")
    operator_extra_links = (BitScaleResultLink(), BitScaleGridLink())

    def __init__(
        self,
        *,
        grid_id: str,
        run_id: str,
        delivery_address: dict[str, Any] | None = None,
        trust_webhook: bool = False,
        miss_values: Collection[str] = (),
        key_outputs_by: OutputKey = "name",
        poke_interval: float = 5,
        bitscale_conn_id: str = "bitscale_default",
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            bitscale_conn_id=bitscale_conn_id, deferrable=deferrable, poke_interval=poke_interval, **kwargs
        )
        self.grid_id = grid_id
        self.run_id = run_id
        self.delivery_address = delivery_address
        self.trust_webhook = trust_webhook
        self.miss_values = miss_values
        self.key_outputs_by = key_outputs_by
        self._check(miss_values=miss_values, key_outputs_by=key_outputs_by, trust_webhook=trust_webhook)

    @cached_property
    def awaited(self) -> AwaitedRun:
        """The run, as the arguments of this process name it."""
        # A DAG file that is parsed does not pay for what its tasks need when they run.
        from airflow_provider_bitscale.sensors.awaited import AwaitedRun

        return options_of(AwaitedRun, self)
