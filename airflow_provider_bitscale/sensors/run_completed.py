"""Waits for a run that was started elsewhere."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.api.errors import RunFailedError
from airflow_provider_bitscale.exceptions import AwaitedRunFailedError, InvalidRequestError
from airflow_provider_bitscale.links import BitScaleGridLink, BitScaleResultLink
from airflow_provider_bitscale.operators.rendered import arguments
from airflow_provider_bitscale.runs.inputs import input_columns, unique_names
from airflow_provider_bitscale.runs.options import OutputKey, option_problems
from airflow_provider_bitscale.runs.polling import Outcome, RunDecision, Wait, poll_once
from airflow_provider_bitscale.runs.result import completed_run, run_result
from airflow_provider_bitscale.runs.undefined import GivenArguments
from airflow_provider_bitscale.sensors.outcome import OutcomeSensor
from airflow_provider_bitscale.webhooks.callback_token import ADDRESS_FIELDS

if TYPE_CHECKING:
    from airflow_provider_bitscale.deferral import Bounds
    from airflow_provider_bitscale.triggers.run_completed import RunCompletedTrigger


class RunCompletedSensor(OutcomeSensor):
    """Succeeds when a run has completed; its XCom is the same as that of :class:`RunGridOperator`.

    A run that BitScale reports as failed fails the task without retries, since waiting again is of no use; a
    poll that does not get through does not.

    :param grid_id: id of the run's grid.
    :param run_id: id of the run, such as ``"{{ ti.xcom_pull('submit')['run_id'] }}"``.
    :param delivery_address: where the run's webhook delivery will be:
        ``submit.output["delivery_address"]`` of a :class:`RunGridOperator` with ``webhook_url``; polls of a
        deferred sensor are rare until it comes. (templated)
    :param trust_webhook: take a delivery for the result, rather than poll once more.
    :param miss_values: texts that stand for nothing found, as in :class:`RunGridOperator`.
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
        self._given = GivenArguments(arguments(self))
        problems = option_problems(
            miss_values=miss_values,
            key_outputs_by=key_outputs_by,
            deferrable=self.deferrable,
            trust_webhook=trust_webhook,
        )
        if problems:
            raise InvalidRequestError(f"task {self.task_id!r}: {'; '.join(problems)}")

    def poll(self, deadline: float) -> Wait | Outcome:
        """Poll once."""
        seen = poll_once(self.hook.run_poller(self.grid_id, self.run_id))
        decision = RunDecision(deadline, self.poke_interval, self.run_id)
        return decision.after(seen, time.time(), 0.0, self.lasting(seen))

    def trigger(self, bounds: Bounds) -> RunCompletedTrigger:
        """Return the trigger that polls on."""
        from airflow_provider_bitscale.triggers.run_completed import RunCompletedTrigger

        return RunCompletedTrigger(
            bitscale_conn_id=self.bitscale_conn_id,
            grid_id=self.grid_id,
            run_id=self.run_id,
            poll_interval=self.poke_interval,
            deadline=bounds.end,
            give_up_at=bounds.give_up_at,
            delivery_address=self._awaited(),
            trust_webhook=self.trust_webhook,
        )

    def _awaited(self) -> dict[str, Any] | None:
        """Where the delivery will be; None if none is awaited."""
        if not self.delivery_address:
            return None
        if not isinstance(self.delivery_address, dict) or set(self.delivery_address) != set(ADDRESS_FIELDS):
            raise InvalidRequestError(
                "delivery_address must be what the submitting task pushed, "
                f"submit.output['delivery_address'], not {self.delivery_address!r}"
            )
        if (conn_id := self.delivery_address["bitscale_conn_id"]) != self.bitscale_conn_id:
            raise InvalidRequestError(
                f"the run was submitted with connection {conn_id}, which signs its delivery; this sensor has "
                f"bitscale_conn_id {self.bitscale_conn_id}"
            )
        return self.delivery_address

    def value(self, outcome: Outcome) -> dict[str, Any]:
        """Return the result of the run."""
        try:
            run = completed_run(outcome, self.grid_id, self.run_id)
        except RunFailedError as error:
            raise AwaitedRunFailedError(**error.fields()) from None
        grid = self.hook.get_grid(self.grid_id)
        return run_result(
            run,
            grid_id=self.grid_id,
            run_id=self.run_id,
            column_names=unique_names(grid) if self.key_outputs_by == "name" else {},
            input_columns=input_columns(grid),
            miss_values=self.miss_values,
        )
