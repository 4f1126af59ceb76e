"""What the answer to a submission makes of its row."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_bitscale.api.errors import (
    AmbiguousSubmitError,
    AuthenticationError,
    BitScaleError,
    InsufficientCreditsError,
    InvalidRequestError,
    RateLimitedError,
    ServerError,
    UnreadableAcceptanceError,
)
from airflow_provider_bitscale.batch.plan.batch_row import State
from airflow_provider_bitscale.batch.row_result import FAILED, SUCCEEDED, UNKNOWN
from airflow_provider_bitscale.batch.store.sent_log import TakenOverError
from airflow_provider_bitscale.batch.submissions import MAX_SUBMISSIONS
from tests.batch.journals import read
from tests.batch.rig import Answer, Rig, a_run

LOST = AmbiguousSubmitError("the connection was cut")
UNREADABLE = UnreadableAcceptanceError("no id", status=200)
REFUSED = InvalidRequestError("no name", status=400, code="MISSING_REQUIRED_FIELD")
DELIVERED: dict[str, Any] = {"expects_deliveries": True}
AGAIN: dict[str, Any] = {"resubmit_ambiguous": True}


@dataclass
class Case:
    """One answer, and what it makes of the row.

    :param status: of its result, once it is DONE.
    :param paid: submissions that were, or may have been, accepted.
    """

    answer: Answer
    state: State
    entry: str | None = ""
    status: str | None = None
    log: str | None = None
    paid: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    stopped_by: str | None = None


CASES = {
    "accepted": Case(a_run("queued"), State.RUNNING, "run_0", log="accepted 0 run_0", paid=1),
    "answered at once": Case(
        a_run(run_id=None), State.DONE, status=SUCCEEDED, log="answered 0", paid=1, options={"mode": "sync"}
    ),
    "too many requests": Case(RateLimitedError("slow down", status=429), State.READY, log="not-processed 0"),
    "a key that is refused": Case(AuthenticationError("no", status=401), State.READY, log="not-processed 0"),
    "refused": Case(REFUSED, State.DONE, status=FAILED, log="not-processed 0"),
    "no credits": Case(
        InsufficientCreditsError("none", status=402),
        State.NEW,
        None,
        log="not-processed 0",
        stopped_by="insufficient_credits",
    ),
    "lost": Case(LOST, State.DONE, status=UNKNOWN, paid=1),
    "lost, with a delivery to come": Case(LOST, State.AMBIGUOUS, paid=1, options=DELIVERED),
    "lost, and paid twice rather": Case(LOST, State.READY, paid=1, options=AGAIN),
    "an error of the server": Case(ServerError("oops", status=500), State.DONE, status=UNKNOWN, paid=1),
    "unreadable": Case(UNREADABLE, State.DONE, status=UNKNOWN, log="answered 0", paid=1),
    "unreadable, with a delivery to come": Case(UNREADABLE, State.AMBIGUOUS, paid=1, options=DELIVERED),
    "unreadable, and a later try might pay twice": Case(
        UNREADABLE, State.UNREADABLE, log="answered 0", paid=1, options={**DELIVERED, **AGAIN}
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_an_answer_makes_of_a_row(case: Case) -> None:
    async def run() -> None:
        rig = Rig(3, [case.answer], **case.options)
        await rig.open()
        row = await rig.submit()
        await rig.settle()
        assert (row.state, None if row.result is None else row.result.status) == (case.state, case.status)
        assert rig.entries()[0] == case.entry
        kept = case.log == "answered 0" or case.status == FAILED
        assert (0 in getattr(read(rig.store)[0], "results", {})) == kept, "what cannot be asked for again"
        assert rig.log.lines == ["sent 0", *([case.log] if case.log else [])]
        assert rig.segments.tally.submitted == case.paid
        assert rig.segments.tally.stopped_by == case.stopped_by
        assert rig.budget.in_flight == rig.plan.in_flight == (case.state is State.RUNNING)

    asyncio.run(run())


def test_a_row_is_submitted_again_only_so_often() -> None:
    async def run() -> None:
        rig = Rig(1, [LOST] * MAX_SUBMISSIONS, **AGAIN)
        await rig.open()
        for _ in range(MAX_SUBMISSIONS - 1):
            assert (await rig.submit()).state is State.READY
        row = await rig.submit()
        assert row.state is State.DONE
        assert rig.client.requests == rig.segments.tally.submitted == MAX_SUBMISSIONS
        assert rig.segments.tally.unknown_costs == MAX_SUBMISSIONS, "each may have been paid for"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (a_run("queued"), State.DONE),
        (LOST, State.DONE),
        (RateLimitedError("slow down", status=429), State.DONE),
        (REFUSED, State.DONE),
        (UNREADABLE, State.DONE),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, State) else None,
)
def test_a_delivery_that_is_faster_than_the_answer_counts(answer: Any, state: State) -> None:
    async def run() -> None:
        rig = Rig(2, [answer], **DELIVERED)
        await rig.open()
        rig.client.go_on.clear()
        submitting = asyncio.create_task(rig.submit())
        while not rig.client.requests:
            await asyncio.sleep(0)
        await rig.deliver(0, a_run())
        rig.client.go_on.set()
        await submitting
        await rig.settle()
        row = rig.row()
        assert row.state is state
        assert row.result is not None
        assert (row.result.status, row.result.run_id, row.result.credits) == (SUCCEEDED, "run_0", 3)
        assert rig.budget.in_flight == 0

    asyncio.run(run())


def test_a_row_that_is_put_back_once_the_batch_has_stopped_is_not_announced_any_more() -> None:
    async def run() -> None:
        def stop() -> Exception:
            rig.batch.stop("max_failed_rows")
            return RateLimitedError("slow down", status=429)

        rig = Rig(3, [stop])
        await rig.open()
        row = await rig.submit()
        await rig.settle()
        assert row.state is State.NEW
        assert rig.entries()[0] is None, "a retry knows that nothing was sent"

    asyncio.run(run())


def test_a_key_that_was_refused_for_long_says_nothing_of_other_errors() -> None:
    async def run() -> None:
        rig = Rig(3, [RateLimitedError("slow down", status=429)])
        rig.plan.outage.key_refused_for = float("inf")
        await rig.open()
        assert (await rig.submit()).state is State.READY
        assert not rig.batch.aborted

    asyncio.run(run())


def test_a_try_that_was_replaced_sends_nothing() -> None:
    async def run() -> None:
        rig = Rig(2, [a_run("queued")])
        await rig.open()
        rig.log._refusal = TakenOverError()
        row = await rig.submit()
        assert rig.client.requests == 0
        assert row.state is State.NEW
        assert isinstance(rig.batch.error, TakenOverError)

    asyncio.run(run())


def test_the_first_answers_that_cannot_be_read_stop_the_batch() -> None:
    async def run() -> None:
        rig = Rig(9, [UNREADABLE] * 9, proven=False)
        await rig.open()
        for number in range(3):
            assert rig.segments.tally.stopped_by is None
            await rig.submit(number)
        assert rig.segments.tally.stopped_by == "unreadable_answers"
        assert isinstance(rig.segments.tally.cause, BitScaleError)

    asyncio.run(run())
