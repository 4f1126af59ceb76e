"""The life of each row by the table, beside the code that is to follow it: what happens is fed to both.

Whatever happens has to be legal by the table, and has to leave both with the same knowledge of the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_provider_bitscale.batch import polls, run_ids, running
from airflow_provider_bitscale.batch.plan.batch_row import IN_FLIGHT, BatchRow, State
from airflow_provider_bitscale.batch.plan.lifecycle import Event, move
from airflow_provider_bitscale.batch.plan.scheduler import Scheduler
from airflow_provider_bitscale.batch.plan.steps import Submit
from airflow_provider_bitscale.batch.row_result import UNKNOWN, RowResult
from airflow_provider_bitscale.batch.store.segments import Segments

PENDING = RowResult(UNKNOWN, error="told a moment later")


class Shadow:
    """The rows of one try, by number."""

    def __init__(self, plan: Scheduler, segments: Segments) -> None:
        self.plan = plan
        self.segments = segments
        self.rows: dict[int, BatchRow] = {}
        self.changed: set[int] = set()
        self.disowning = self.giving_up = False

    def apply(
        self, number: int, event: Event, result: RowResult | None = None, run_id: str | None = None
    ) -> None:
        row = self.rows[number]
        if event in (Event.ENDED, Event.REFUSED, Event.GIVEN_UP, Event.DISOWNED):
            result = result or PENDING
        if row.state is State.DONE and event is Event.GIVEN_UP:
            raise AssertionError("given up twice")
        move(row, event, 0.0, result=result, run_id=run_id)
        self.changed.add(number)

    def check(self) -> None:
        """Both know the same of all rows that have changed."""
        plan, segments, watch = self.plan, self.segments, self.plan.watch
        for number in self.changed:
            row = self.rows[number]
            found = {
                State.READY: number in plan._ready,
                State.SENDING: number in plan._posting,
                State.RUNNING: number in watch and not watch.is_being_polled(number),
                State.POLLING: number in watch and watch.is_being_polled(number),
                State.AMBIGUOUS: number in plan._doubts,
                State.UNREADABLE: number in plan._doubts,
            }
            if row.state in (State.AMBIGUOUS, State.UNREADABLE):
                assert found[State.AMBIGUOUS], row
            else:
                assert [state for state, is_so in found.items() if is_so] == (
                    [row.state] if row.state in found else []
                ), row
            if row.segment not in segments._open:
                assert row.state is State.DONE, row
                continue
            kept = segments._open[row.segment]
            assert (row.state is State.DONE) is (kept._settled[row.position] is not None), row
            if row.state is not State.DONE:
                assert row.entry == kept.record.entries[row.position], row
            assert row.unanswered == segments._may_be_paid.get(number, 0) or row.state is State.DONE, row
        self.changed.clear()
        assert plan.in_flight == sum(row.state in IN_FLIGHT for row in self.rows.values())
        assert plan._budget.in_flight == plan.in_flight


def after(kind: type, name: str, told: Callable[..., object]) -> tuple[type, str, Any]:
    """A method that is told of after it has run, with its result and its arguments."""
    original = getattr(kind, name)

    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        result = original(self, *arguments, **named)
        if hasattr(self, "shadow"):
            told(self.shadow, result, *arguments)
        return result

    return kind, name, method


def each(event: Event) -> Callable[..., object]:
    return lambda shadow, _, rows: [shadow.apply(row, event) for row in rows]


def one(event: Event) -> Callable[..., None]:
    return lambda shadow, _, row, *rest: shadow.apply(row, event)


def _opened(shadow: Shadow, opened: Any, segment: Any) -> None:
    kept = shadow.segments._open[segment.number]
    for position, row in enumerate(segment.rows):
        shadow.rows[row.index] = BatchRow(row.index, segment.number, position)
        settled = kept._settled[position]
        if row.duplicate:
            shadow.apply(row.index, Event.DUPLICATE, settled)
        elif settled is not None:
            shadow.apply(row.index, Event.SETTLED, settled)
    for row in opened.running:
        shadow.apply(row, Event.RESUMED, run_id=shadow.segments.run_id(row))
    for row in opened.in_doubt:
        shadow.apply(row, Event.INHERITED)


def _announced(shadow: Shadow, _: object, rows: list[int]) -> None:
    if not shadow.disowning:
        each(Event.ANNOUNCED)(shadow, _, rows)


def _retracted(shadow: Shadow, _: object, rows: list[int]) -> None:
    for row in rows:
        if shadow.rows[row].state in (State.ANNOUNCED, State.READY):
            shadow.apply(row, Event.RETRACTED)


def _doubted(shadow: Shadow, _: object, row: int) -> None:
    # Of an earlier try; else the scheduler says so a moment later.
    if shadow.rows[row].state is State.AMBIGUOUS:
        shadow.apply(row, Event.RESUBMITTED)


def _accepted(shadow: Shadow, _: object, row: int, run_id: str) -> None:
    shadow.apply(row, Event.DELIVERED, run_id=run_id)


def _in_doubt(shadow: Shadow, _: object, row: int, now: float) -> None:
    shadow.apply(row, Event.LOST if shadow.segments.left_as(row) is None else Event.UNREADABLE)


def _given_up(shadow: Shadow, _: object, row: int) -> None:
    known = shadow.disowning or shadow.giving_up or shadow.rows[row].state is State.SENDING
    if not known:
        shadow.apply(row, Event.LEFT)
    elif not shadow.disowning:
        shadow.apply(row, Event.GIVEN_UP)


def _settled(shadow: Shadow, _: object, row: int, settled: RowResult) -> None:
    if shadow.disowning:
        if shadow.rows[row].is_unsent:
            shadow.rows[row].unanswered = 1
        shadow.apply(row, Event.DISOWNED, settled)
    assert shadow.rows[row].state is State.DONE
    shadow.rows[row].result = settled


def _begun(shadow: Shadow, _: object, step: Any, now: float) -> None:
    shadow.apply(step.row, Event.SENT if isinstance(step, Submit) else Event.POLLED)


HOOKS = [
    after(Segments, "_opened", _opened),
    after(Segments, "announce", _announced),
    after(Segments, "retract", _retracted),
    after(Segments, "doubt", _doubted),
    after(Segments, "accepted", _accepted),
    after(Segments, "settle", _settled),
    after(Scheduler, "add", each(Event.DURABLE)),
    after(Scheduler, "begin", _begun),
    after(Scheduler, "accepted", one(Event.ACCEPTED)),
    after(Scheduler, "put_back", one(Event.NOT_PROCESSED)),
    after(Scheduler, "submit_again", one(Event.RESUBMITTED)),
    after(Scheduler, "refused", one(Event.REFUSED)),
    after(Scheduler, "doubt", _in_doubt),
    after(Scheduler, "doubt_ended", one(Event.DELIVERED)),
    after(Scheduler, "withdraw", one(Event.DELIVERED)),
    after(Scheduler, "give_up_doubtful", lambda shadow, rows, _: each(Event.GIVEN_UP)(shadow, None, rows)),
    after(Scheduler, "hint", one(Event.HINTED)),
    after(Scheduler, "not_ended", one(Event.NOT_ENDED)),
    after(Scheduler, "ended", one(Event.ENDED)),
    after(Scheduler, "given_up", _given_up),
    after(Scheduler, "next", lambda shadow, _, now: shadow.check()),
]


@contextmanager
def asserting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a batch does is checked by the table."""
    begin, disown, give_up = running.RunningBatch.__init__, run_ids._disown, polls.Polls._give_up

    def begins(self: Any, request: Any, connection: Any, plan: Any, segments: Any, *rest: Any) -> None:
        plan.shadow = segments.shadow = Shadow(plan, segments)
        begin(self, request, connection, plan, segments, *rest)

    def disowns(batch: Any, *arguments: Any) -> None:
        batch.plan.shadow.disowning = True
        disown(batch, *arguments)
        batch.plan.shadow.disowning = False

    def gives_up(self: Any, *arguments: Any) -> None:
        self._batch.plan.shadow.giving_up = True
        give_up(self, *arguments)
        self._batch.plan.shadow.giving_up = False

    for kind, name, method in HOOKS:
        monkeypatch.setattr(kind, name, method)
    monkeypatch.setattr(running.RunningBatch, "__init__", begins)
    monkeypatch.setattr(run_ids, "_disown", disowns)
    monkeypatch.setattr(polls.Polls, "_give_up", gives_up)
    yield
