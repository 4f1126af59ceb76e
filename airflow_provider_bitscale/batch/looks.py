"""Looks at a run, and does what follows from what is seen."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.batch.decisions import Fate, after_look
from airflow_provider_bitscale.batch.running import RunningBatch
from airflow_provider_bitscale.batch.statuses import UNKNOWN, Settled
from airflow_provider_bitscale.runs.polling import RunDecision, Wait

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.async_client import AsyncClient

# After a look that saw nothing; longer where BitScale asks.
LOOK_AGAIN_SECONDS = 5.0
# After a look that was refused for a key that has been renewed.
RENEWED_SECONDS = 0.1


async def look(batch: RunningBatch, row: int, client: AsyncClient) -> None:
    """Look at the run of a row, with a slot that has been taken."""
    request, plan = batch.request, batch.plan
    run_id = batch.shelf.run_id(row)
    try:
        seen: Run | BitScaleError = await client.send_now(
            lambda contract: contract.get_run(request.grid_id, run_id)
        )
    except BitScaleError as error:
        seen = error
    if batch.shelf.run_id(row) != run_id:
        # Meanwhile another run of this row was delivered, which counts now.
        plan.not_ended(row, time.monotonic())
        return
    give_up_at = min(batch.submitted_at(row) + request.timeout, request.deadline)
    step = RunDecision(give_up_at, LOOK_AGAIN_SECONDS, run_id).after(seen, time.time(), random.random())  # noqa: S311
    fate = after_look(seen, step, time_is_up=time.time() >= request.deadline)
    if fate is Fate.ENDED and isinstance(seen, Run):
        batch.end(row, seen, batch.settled_by(seen, run_id))
    elif fate is Fate.NOT_ENDED and isinstance(step, Wait):
        plan.not_ended(row, time.monotonic(), 0.0 if isinstance(seen, Run) else step.seconds)
    elif fate is Fate.LEFT:
        plan.given_up(row)
    elif fate is Fate.GIVEN_UP:
        last_seen = seen.reported_status if isinstance(seen, Run) else str(seen)
        plan.given_up(row)
        batch.settle(row, Settled(UNKNOWN, run_id, error=f"given up: last seen {last_seen}"))
    elif isinstance(seen, BitScaleError):
        renewed = fate is Fate.RENEW and await batch.connection.renew(client, seen.left_at)
        plan.not_ended(row, time.monotonic(), RENEWED_SECONDS if renewed else LOOK_AGAIN_SECONDS)
        if not renewed:
            batch.abort(seen)
