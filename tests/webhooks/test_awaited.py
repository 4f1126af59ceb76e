"""Which deliveries a task waits for: those that it says, signed with the connection that it says."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from airflow_provider_bitscale.batch.store.batch_record import BATCH_KEY as BATCH
from airflow_provider_bitscale.batch.store.batch_record import BatchRecord
from airflow_provider_bitscale.runs.resume import Try
from airflow_provider_bitscale.runs.run_record import COLLECTED, INTENT, SUBMITTED, Record
from airflow_provider_bitscale.runs.run_record import RUN_KEY as RUN
from airflow_provider_bitscale.webhooks.awaited import awaits
from airflow_provider_bitscale.webhooks.callback_token import Claims
from airflow_provider_bitscale.webhooks.outcomes import ACCEPTED, DUPLICATE, NO_SUBSCRIBERS
from tests.webhooks.test_callback_token import HOME, KEY, QUEUE


class Kept(dict[str, Any]):
    """What a task keeps in its state store."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        del self[key]


RECORD = Record(INTENT, Try(2), "print", "grid_001", 1e9, delivery_key=KEY, delivery_conn_id="c")
SENT = replace(RECORD, phase=SUBMITTED, run_id="run_1")
TOLD = {KEY: {"run_id": "run_1"}}


def kept(record: Record, **more: Any) -> Kept:
    return Kept({RUN: asdict(record), **more})


RUNS: dict[str, tuple[Kept, str]] = {
    "nothing is kept": (Kept(), NO_SUBSCRIBERS),
    "the submission is under way": (kept(RECORD), ACCEPTED),
    "it was accepted": (kept(SENT), ACCEPTED),
    "as another run": (kept(replace(SENT, run_id="run_2")), NO_SUBSCRIBERS),
    "a delivery told of another run": (kept(RECORD, **{KEY: {"run_id": "run_2"}}), NO_SUBSCRIBERS),
    "it has been delivered": (kept(SENT, **TOLD), DUPLICATE),
    "that told which run it is": (kept(RECORD, **TOLD), DUPLICATE),
    "another submission followed": (kept(replace(SENT, delivery_key=f"{KEY[:-1]}0")), NO_SUBSCRIBERS),
    "none is awaited": (kept(replace(SENT, delivery_key=None, delivery_conn_id=None)), NO_SUBSCRIBERS),
    "with another connection": (kept(replace(SENT, delivery_conn_id="d")), NO_SUBSCRIBERS),
    "the task has succeeded": (
        kept(replace(SENT, phase=COLLECTED, delivery_key=None)), NO_SUBSCRIBERS
    ),
    "a sensor waits": (kept(replace(SENT, phase=COLLECTED, handed_on=True)), ACCEPTED),
    "a batch": (
        Kept({BATCH: asdict(BatchRecord(QUEUE, "p", Try(2), 1.0, None, "jsonl", 0, []))}),
        NO_SUBSCRIBERS,
    ),
    "a record that cannot be read": (Kept({RUN: {"phase": "lost"}}), NO_SUBSCRIBERS),
    "a record that is none": (Kept({RUN: {"run_id": 7}}), NO_SUBSCRIBERS),
}  # fmt: skip


@pytest.mark.parametrize(("store", "outcome"), RUNS.values(), ids=RUNS.keys())
def test_what_a_task_with_one_run_waits_for(store: Kept, outcome: str) -> None:
    assert awaits(store, Claims(HOME), "run_1") == outcome


BATCH_RECORD = BatchRecord(
    QUEUE.removeprefix("bitscale_mailbox_"),
    *("print", Try(2), 1.0, None, "jsonl", 0, []),
    delivery_conn_id="c",
)
BATCHES: dict[str, tuple[Kept, str]] = {
    "nothing is kept": (Kept(), NO_SUBSCRIBERS),
    "it runs": (Kept({BATCH: asdict(BATCH_RECORD)}), ACCEPTED),
    "it has succeeded": (Kept({BATCH: asdict(replace(BATCH_RECORD, collected=True))}), NO_SUBSCRIBERS),
    "another one runs": (
        Kept({BATCH: asdict(replace(BATCH_RECORD, batch_id="20260101T000000Z-0123ac"))}), NO_SUBSCRIBERS
    ),
    "with another connection": (
        Kept({BATCH: asdict(replace(BATCH_RECORD, delivery_conn_id="d"))}), NO_SUBSCRIBERS
    ),
    "none is awaited": (Kept({BATCH: asdict(replace(BATCH_RECORD, delivery_conn_id=None))}), NO_SUBSCRIBERS),
    "a single run": (kept(SENT), NO_SUBSCRIBERS),
    "a batch that cannot be read": (Kept({BATCH: {"batch": 7}}), NO_SUBSCRIBERS),
}  # fmt: skip


@pytest.mark.parametrize(("store", "outcome"), BATCHES.values(), ids=BATCHES.keys())
def test_what_a_task_with_a_batch_waits_for(store: Kept, outcome: str) -> None:
    assert awaits(store, Claims(replace(HOME, key=QUEUE), 3), "run_1") == outcome
