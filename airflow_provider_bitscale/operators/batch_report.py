"""Reports the progress of a batch: in the log, in the task's state store, and as metrics."""

from __future__ import annotations

import logging
from collections import Counter

from airflow.sdk.observability import stats

from airflow_provider_bitscale.batch.progress import Progress, Tally
from airflow_provider_bitscale.batch.store.batch_record import BATCH_KEY
from airflow_provider_bitscale.runs.state_store import Store

log = logging.getLogger(__name__)

PROGRESS_KEY = f"{BATCH_KEY}_progress"
METRICS = "bitscale.batch"


class Reporter:
    """Called with the progress of a batch, every few seconds and at its end.

    :param before: the results of earlier tries, which the metrics have counted.
    """

    def __init__(self, store: Store, before: Tally) -> None:
        self._store = store
        self._counted = Counter(before.counts)
        self._credits = before.credits

    def __call__(self, progress: Progress) -> None:
        """Report the progress. A failure to do so is logged, and does not stop the batch."""
        log.info("%s", progress)
        self._send_metrics(progress)
        try:
            self._store.set(PROGRESS_KEY, progress.to_json())
        except Exception as problem:
            log.warning("The progress could not be written to the task's state store: %s", problem)

    def _send_metrics(self, progress: Progress) -> None:
        stats.gauge(f"{METRICS}.in_flight", progress.in_flight)
        stats.gauge(f"{METRICS}.requests_per_second", progress.requests_per_second)
        for status, count in progress.counts.items():
            if new := count - self._counted[status]:
                stats.incr(f"{METRICS}.rows_{status}", new)
        self._counted = Counter(progress.counts)
        if progress.credits_spent > self._credits:
            stats.incr(f"{METRICS}.credits", int(progress.credits_spent - self._credits))
            self._credits += int(progress.credits_spent - self._credits)
