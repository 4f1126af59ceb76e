"""Each mapped task kills its own process with SIGKILL, in its first try, at the point its input names."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from airflow.sdk import DAG, Context

from airflow_provider_bitscale.operators.run_grid import RunGridOperator

# A point is "<leg> <call|return> <module>.<function> <n>": the function is entered, or has returned, for the
# n-th time in that leg. Nothing of the product is replaced: a profiler watches and pulls the trigger.
# The POST is the second request after the grid's columns, or the third where a run recipe is asked for too.
POST = int(os.environ.get("KILL_SWEEP_POST", "2"))
POLL = POST + 1
BEFORE_INTENT = (
    "execute call run_session._submit 1",
    "execute call client._attempt 1",
    f"execute return client._attempt {POST - 1}",
    f"execute call client._attempt {POST}",
    "execute call run_record.write 1",
)
LEAVING = f"execute call sessions.request {POST}"
ANSWERED = f"execute call connection.getresponse {POST}"
AMBIGUOUS = (
    "execute return run_record.write 1",
    LEAVING,
    ANSWERED,
    f"execute return client._attempt {POST}",
    "execute call run_record.write 2",
)
PAID_WAITING_HERE = (
    "execute return run_record.write 2",
    f"execute call client._attempt {POLL}",
    f"execute return client._attempt {POLL}",
    "execute return run_grid.execute 1",
)
PAID_DEFERRED = (
    "execute return run_record.write 2",
    "execute call run_waiter._deferral 1",
    "execute_complete call run_grid.execute_complete 1",
    "execute_complete return run_grid.execute_complete 1",
)
PAID_SYNC = (
    "execute return run_record.write 2",
    "execute return run_grid.execute 1",
)
SWEEPS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "waiting": ({"deferrable": False}, (*BEFORE_INTENT, *AMBIGUOUS, *PAID_WAITING_HERE)),
    "deferred": ({"deferrable": True}, (*BEFORE_INTENT, *AMBIGUOUS, *PAID_DEFERRED)),
    "sync": ({"mode": "sync", "deferrable": False}, (*BEFORE_INTENT, *AMBIGUOUS, *PAID_SYNC)),
}
# One point of each kind in each way of waiting.
SAMPLES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "waiting": (SWEEPS["waiting"][0], (BEFORE_INTENT[-1], LEAVING, ANSWERED, PAID_WAITING_HERE[2])),
    "deferred": (SWEEPS["deferred"][0], (AMBIGUOUS[-1], *PAID_DEFERRED[:3])),
    "sync": (SWEEPS["sync"][0], PAID_SYNC),
}


@contextmanager
def doomed(point: str, leg: str, try_number: int) -> Iterator[None]:
    """Die at the point, if it lies in this leg and this is the first try."""
    point_leg, event, function, nth = point.split()
    seen: Counter[str] = Counter()

    def watch(frame: FrameType, happened: str, _: Any) -> None:
        if happened == event and function == f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}":
            seen[function] += 1
            if seen[function] == int(nth):
                os.kill(os.getpid(), signal.SIGKILL)

    if point_leg == leg and try_number == 1:
        sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)


class DoomedRunGridOperator(RunGridOperator):
    """The operator under test, in a process that dies at the point named by its input."""

    def execute(self, context: Context) -> dict[str, Any]:
        """As the operator does, until death."""
        with doomed(self.inputs["Company"], "execute", context["ti"].try_number):
            return super().execute(context)

    def execute_complete(self, context: Context, event: Any) -> dict[str, Any]:
        """As the operator does, until death."""
        with doomed(self.inputs["Company"], "execute_complete", context["ti"].try_number):
            return super().execute_complete(context, event)


# Where a delivery tells what became of a submission. Points before the POST are ambiguous until `timeout`.
with DAG("kill_sweep_delivered", schedule=None, catchup=False, max_active_tasks=64):
    DoomedRunGridOperator.partial(
        task_id="delivered",
        grid_id="grid_001",
        webhook_url="https://airflow.example.com/bitscale/webhooks/bitscale_default",
        deferrable=True,
        timeout=30,
        retries=2,
        retry_delay=timedelta(seconds=1),
    ).expand(inputs=[{"Full Name": "delivered", "Company": point} for point in AMBIGUOUS])

for dag_id, sweeps in (("kill_sweep", SWEEPS), ("kill_samples", SAMPLES)):
    with DAG(dag_id, schedule=None, catchup=False, max_active_tasks=64):
        for sweep, (options, points) in sweeps.items():
            DoomedRunGridOperator.partial(
                task_id=sweep,
                grid_id="grid_001",
                poll_interval=0.5,
                timeout=120,
                retries=2,
                retry_delay=timedelta(seconds=1),
                **options,
            ).expand(inputs=[{"Full Name": sweep, "Company": point} for point in points])
