"""How long changes wait to be durable, what is held back meanwhile, and when the store is given up."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import asdict
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_bitscale.batch.plan.brake import Brake
from airflow_provider_bitscale.batch.plan.budget import Budget
from airflow_provider_bitscale.batch.plan.scheduler import Rest, SubmitRow
from airflow_provider_bitscale.batch.store import journal_writer
from airflow_provider_bitscale.batch.store.journal_writer import (
    AWAY_SECONDS,
    REFUSED_SECONDS,
    JournalWriter,
    is_lost,
)
from airflow_provider_bitscale.batch.store.segment_records import ANNOUNCED, SegmentRecord
from tests.batch.journals import FOUND, opened, read
from tests.support.json_store import JsonStore
from tests.support.numbered import Plan


def told_by_airflow(status: int | None) -> AirflowRuntimeError:
    """What a worker's SDK raises for an answer of this status; None for no answer."""
    return AirflowRuntimeError(
        ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": status, "message": "no"})
    )


@pytest.mark.parametrize(
    ("problem", "patience"),
    [
        pytest.param(told_by_airflow(404), REFUSED_SECONDS, id="the task instance has another id"),
        pytest.param(told_by_airflow(409), REFUSED_SECONDS, id="it is not running any more"),
        pytest.param(told_by_airflow(503), AWAY_SECONDS, id="the API server is busy"),
        pytest.param(told_by_airflow(None), AWAY_SECONDS, id="it cannot be reached"),
        pytest.param(OSError("broken pipe"), AWAY_SECONDS, id="anything else"),
    ],
)
def test_when_the_store_is_given_up(problem: Exception, patience: float) -> None:
    assert not is_lost(problem, patience - 0.1)
    assert is_lost(problem, patience + 0.1)


class SlowStore(JsonStore):
    """A store whose writes take until they may go on, and then fail if they are to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_writing, self.go_on = threading.Event(), threading.Event()
        self.problem: Exception | None = None

    def set(self, key: str, value: Any) -> None:
        self.is_writing.set()
        assert self.go_on.wait(10)
        if self.problem is not None:
            raise self.problem
        super().set(key, value)


def test_a_change_waits_from_when_it_was_made_until_it_is_durable_whatever_fails() -> None:
    store = SlowStore()
    journal = opened(store, 2)
    writer = JournalWriter(journal)

    async def run() -> list[float]:
        waited = [writer.unwritten_seconds()]
        journal.note(0, 0, "run_0")
        writer.changed()
        await asyncio.sleep(0.05)
        store.problem = OSError("away")
        writing = asyncio.create_task(writer.write())
        await asyncio.to_thread(store.is_writing.wait)
        await asyncio.sleep(0.05)
        waited.append(writer.unwritten_seconds())
        store.go_on.set()
        await writing
        assert isinstance(writer.problem, OSError)
        journal.note(0, 1, "run_1")
        writer.changed()
        waited.append(writer.unwritten_seconds())
        store.problem = None
        await writer.write()
        return [*waited, writer.unwritten_seconds()]

    before, while_written, after_it_failed, durable = asyncio.run(run())
    assert before == durable == 0.0
    assert 0.1 <= while_written <= after_it_failed
    assert writer.problem is None
    record = read(store)[0]
    assert getattr(record, "entries", None) == ["run_0", "run_1"]


def test_while_it_is_held_the_plan_submits_nothing() -> None:
    plan = Plan(2, Budget(None), Brake(proven=True))
    plan.add([0, 1])
    assert isinstance(plan.next(100.0), SubmitRow)
    plan.hold(100.5)
    assert plan.next(100.0) == Rest(0.5)
    plan.hold(100.2)
    assert plan.next(100.4) != plan.next(100.5), "it is never shortened"
    assert isinstance(plan.next(100.5), SubmitRow)


def a_writer(store: JsonStore, *rows: int) -> JournalWriter:
    return JournalWriter(opened(store, *rows))


def entries(store: JsonStore, number: int = 0) -> list[str | None]:
    record = read(store)[number]
    assert isinstance(record, SegmentRecord)
    return record.entries


def test_who_waits_for_durable_goes_on_when_all_that_changed_before_is_written() -> None:
    store = JsonStore()

    async def run() -> None:
        writer = a_writer(store, 2)
        writing = asyncio.create_task(writer.run())
        writer.note(0, 0, ANNOUNCED)
        await asyncio.wait_for(writer.durable(), 5)
        assert entries(store) == [ANNOUNCED, None]
        writer.note(0, 0, "run_0")
        writer.note(0, 1, ANNOUNCED)
        await asyncio.wait_for(asyncio.gather(writer.durable(), writer.durable()), 5)
        assert entries(store) == ["run_0", ANNOUNCED]
        assert writer.unwritten_seconds() == 0.0
        writing.cancel()

    asyncio.run(run())


def test_nothing_is_durable_while_writes_fail_and_all_is_once_one_succeeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_writer, "SECONDS_BETWEEN_WRITES", 0.01)
    store = SlowStore()
    store.go_on.set()
    store.problem = OSError("away")

    async def run() -> None:
        writer = a_writer(store, 1)
        writing = asyncio.create_task(writer.run())
        writer.note(0, 0, "run_0")
        waiting = asyncio.create_task(writer.durable())
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
        assert writer.problem is store.problem
        assert writer.unsaved().accepted == {(0, 0): "run_0"}
        store.problem = None
        await asyncio.wait_for(waiting, 5)
        assert writer.problem is None
        assert entries(store) == ["run_0"]
        assert not writer.unsaved()
        writing.cancel()

    asyncio.run(run())


def test_a_write_that_is_cancelled_ends_before_its_writer_does() -> None:
    store = SlowStore()

    async def run() -> None:
        writer = a_writer(store, 1)
        writer.note(0, 0, "run_0")
        writing = asyncio.create_task(writer.write())
        await asyncio.to_thread(store.is_writing.wait)
        writing.cancel()
        await asyncio.wait([writing], timeout=0.05)
        assert not writing.done(), "a later write would overtake it"
        store.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert entries(store) == ["run_0"]
        assert not writer.unsaved()

    asyncio.run(run())


def test_results_are_written_together_and_are_unsaved_until_then() -> None:
    store = JsonStore()

    async def run() -> None:
        writer = a_writer(store, 2)
        for row in range(2):
            writer.add_result(0, row, FOUND)
        assert list(writer.unsaved().chunks.values()) == [{"0": asdict(FOUND), "1": asdict(FOUND)}]
        await writer.write()
        record = read(store)[0]
        assert isinstance(record, SegmentRecord)
        assert (record.results, record.chunks) == ({0: FOUND, 1: FOUND}, 1)

    asyncio.run(run())
