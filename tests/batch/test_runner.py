"""A batch from its first row to its last, without a network."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_bitscale.api.errors import AmbiguousSubmitError, BitScaleError, InvalidRequestError
from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.api.shared_state.hints import Hints
from airflow_provider_bitscale.batch import runner
from airflow_provider_bitscale.batch.plan import poll_schedule
from airflow_provider_bitscale.batch.plan.batch_row import State
from airflow_provider_bitscale.batch.progress import Progress
from airflow_provider_bitscale.batch.row_result import FAILED, SUCCEEDED, UNKNOWN
from airflow_provider_bitscale.batch.runner import Runner
from airflow_provider_bitscale.batch.store.journal import Changes
from airflow_provider_bitscale.batch.store.segment_records import ANNOUNCED, SegmentRecord
from airflow_provider_bitscale.runs import run_times
from tests.batch.rig import Rig, a_run


@pytest.fixture(autouse=True)
def _polls_come_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (run_times, poll_schedule):
        monkeypatch.setattr(module, "FIRST_POLL", 0.01)


class BitScale:
    """Answers submissions and polls; knows how many runs there were.

    :param submitted: the answer to the submission of a row, by its number.
    :param polled: the answer to a poll, by run id.
    """

    requests_per_second = None
    hints = Hints(None, "limit")

    def __init__(
        self,
        submitted: Callable[[int], Run | Exception] = lambda row: a_run("queued", f"run_{row}"),
        polled: Callable[[str], Run | Exception] = lambda run_id: a_run(run_id=run_id),
    ) -> None:
        self._submitted, self._polled = submitted, polled
        self.submissions: Counter[int] = Counter()
        self.polls: Counter[str] = Counter()
        self.requests = self.most_requests = 0
        self.given_back = False

    async def book_slot(self) -> float:
        return 0.0

    def take_slot(self) -> bool:
        return True

    def give_back_slots(self) -> None:
        self.given_back = True

    async def send_now(self, build: Callable[[Any], Run | Exception]) -> Run:
        self.requests += 1
        self.most_requests = max(self.most_requests, self.requests)
        await asyncio.sleep(0.01)
        self.requests -= 1
        answer = build(self)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def run_grid(self, grid_id: str, inputs: dict[str, Any], **options: Any) -> Run | Exception:
        self.submissions[inputs["c-n"]] += 1
        return self._submitted(inputs["c-n"])

    def get_run(self, grid_id: str, run_id: str) -> Run | Exception:
        self.polls[run_id] += 1
        return self._polled(run_id)


class Try:
    """One try, and what it has reported and left."""

    def __init__(self, rows: int, bitscale: BitScale, *, connections: int = 10, **options: Any) -> None:
        self.rig = Rig(rows, client=bitscale, **options)
        self.reports: list[Progress] = []
        self.left: list[Changes] = []
        self.runner = Runner(
            self.rig.batch,
            connections=connections,
            report=self.reports.append,
            leave=self.left.append,
            delivery_queue=None,
        )

    def run(self, meanwhile: Callable[[], object] | None = None) -> None:
        async def run() -> None:
            if meanwhile is not None:
                asyncio.get_running_loop().call_later(0.3, meanwhile)
            await asyncio.wait_for(self.runner.run(), 30)

        asyncio.run(run())

    def statuses(self) -> Counter[str]:
        self.rig.segments.write_the_rest("left")
        return Counter(row["_status"] for row in self.rig.parts.rows)


def test_every_row_is_submitted_once_and_has_its_result() -> None:
    bitscale = BitScale()
    attempt = Try(30, bitscale, connections=4)
    attempt.run()
    assert set(bitscale.submissions.values()) == {1}
    assert len(bitscale.submissions) == 30
    assert bitscale.most_requests <= 4
    assert attempt.reports[-1].counts == {SUCCEEDED: 30}
    assert attempt.reports[-1].credits_spent == 90
    assert attempt.statuses() == {SUCCEEDED: 30}


def test_it_begins_with_one_run() -> None:
    in_flight: list[int] = []

    def submitted(row: int) -> Run:
        in_flight.append(attempt.rig.plan.in_flight)
        return a_run("queued", f"run_{row}")

    attempt = Try(9, BitScale(submitted), proven=False)
    attempt.run()
    assert in_flight[0] == 1
    assert max(in_flight) > 1


def test_what_an_earlier_try_submitted_is_polled_and_not_submitted() -> None:
    bitscale = BitScale()
    attempt = Try(4, bitscale, records={0: SegmentRecord(["run_0", ANNOUNCED, "run_2", None])})
    attempt.run()
    assert set(bitscale.submissions) == {3}
    assert set(bitscale.polls) == {"run_0", "run_2", "run_3"}
    assert attempt.statuses() == {SUCCEEDED: 3, UNKNOWN: 1}


class SlowSlots(BitScale):
    """Books slots slowly, one each time, as shared state does that is far away; much happens meanwhile."""

    def __init__(self, meanwhile: Callable[[int], object], **answers: Any) -> None:
        super().__init__(**answers)
        self._meanwhile = meanwhile
        self._bookings, self._is_booked = 0, False

    async def book_slot(self) -> float:
        self._bookings += 1
        await asyncio.sleep(0.001)
        self._meanwhile(self._bookings)
        self._is_booked, self.given_back = True, False
        return 0.0

    def take_slot(self) -> bool:
        is_booked, self._is_booked = self._is_booked, False
        return is_booked


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_nothing_is_submitted_that_was_stopped_while_a_slot_was_booked(end: str) -> None:
    def meanwhile(booking: int) -> None:
        if booking == 3 and end == "kill":
            attempt.runner.kill()
        elif booking == 3:
            attempt.rig.batch.stop("deadline")

    bitscale = SlowSlots(meanwhile, submitted=lambda row: a_run("running", f"run_{row}"))
    attempt = Try(5, bitscale)
    attempt.run()
    assert set(bitscale.submissions) == {0, 1}
    assert bitscale.given_back, "what was booked is for others"


def test_when_it_is_killed_answers_on_their_way_are_taken_in() -> None:
    bitscale = BitScale(polled=lambda run_id: a_run("running", run_id))
    attempt = Try(5, bitscale)
    attempt.run(meanwhile=attempt.runner.kill)
    assert attempt.rig.entries() == [f"run_{row}" for row in range(5)]
    assert attempt.rig.plan.in_flight == 5


def test_rows_that_may_not_fail_stop_it() -> None:
    refused = InvalidRequestError("no", status=400, code="MISSING_REQUIRED_FIELD")
    bitscale = BitScale(lambda row: refused)
    attempt = Try(200, bitscale, connections=1, max_failed=2)
    attempt.run()
    assert attempt.rig.segments.tally.stopped_by == "max_failed_rows"
    assert len(bitscale.submissions) == 3
    assert attempt.statuses()[FAILED] == 3


def test_at_the_deadline_runs_are_polled_once_more_and_left() -> None:
    bitscale = BitScale(polled=lambda run_id: a_run("running", run_id))
    attempt = Try(3, bitscale, deadline=time.time() + 1.0)
    attempt.run()
    assert [attempt.rig.row(number).state for number in range(3)] == [State.LEFT] * 3
    assert attempt.rig.segments.tally.stopped_by == "deadline"
    assert attempt.rig.entries() == [f"run_{row}" for row in range(3)]
    assert attempt.rig.budget.in_flight == 0


def test_an_error_that_no_row_can_mend_is_raised_once_all_is_written() -> None:
    bitscale = BitScale(
        lambda row: BitScaleError("the grid is gone") if row == 2 else a_run("queued", f"run_{row}")
    )
    attempt = Try(9, bitscale, connections=1)
    with pytest.raises(BitScaleError, match="the grid is gone"):
        attempt.run()
    assert attempt.rig.entries()[2] is None, "it was not submitted"
    assert attempt.statuses()[SUCCEEDED] == 2


def test_a_store_that_fails_leaves_what_it_did_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "WIND_UP_SECONDS", 0.5)

    def submitted(row: int) -> Run:
        attempt.rig.store.set = _fail  # type: ignore[method-assign]
        return a_run("queued", f"run_{row}")

    def _fail(key: str, value: Any) -> None:
        raise OSError("away")

    bitscale = BitScale(submitted, lambda run_id: a_run("running", run_id))
    attempt = Try(3, bitscale)
    with pytest.raises(OSError, match="away"):
        attempt.run(meanwhile=lambda: attempt.rig.batch.abort(OSError("away")))
    assert "run_0" in str(attempt.left[-1].accepted)


def test_ambiguous_rows_are_paid_for_at_most_once() -> None:
    bitscale = BitScale(
        lambda row: AmbiguousSubmitError("cut") if row % 3 == 0 else a_run("queued", f"run_{row}")
    )
    attempt = Try(9, bitscale)
    attempt.run()
    assert set(bitscale.submissions.values()) == {1}
    assert attempt.statuses() == {SUCCEEDED: 6, UNKNOWN: 3}
