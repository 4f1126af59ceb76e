"""Rows on their way to a part, and what they come to."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.batch.progress import Tally
from airflow_provider_bitscale.batch.row_result import (
    DUPLICATE,
    FAILED,
    NOT_SUBMITTED,
    SUCCEEDED,
    UNKNOWN,
    RowResult,
)
from airflow_provider_bitscale.batch.store.segment_records import Summary
from airflow_provider_bitscale.batch.store.segments import OpenSegment
from airflow_provider_bitscale.batch.table.survey import Row, Segment
from airflow_provider_bitscale.batch.table.writers import RowsInMemory, output_row


def a_segment(rows: int) -> OpenSegment:
    return OpenSegment(Segment(7, tuple(Row(100 + n, {"n": n}, {"c-n": n}, False) for n in range(rows))))


COSTS: list[tuple[RowResult, bool]] = [
    (RowResult(SUCCEEDED, "run_1", 3), False),
    (RowResult(SUCCEEDED, "run_1", 0), False),
    (RowResult(SUCCEEDED, "run_1"), True),
    (RowResult(FAILED, "run_1"), False),
    (RowResult(UNKNOWN), True),
    (RowResult(UNKNOWN, "run_1"), True),
    (RowResult(NOT_SUBMITTED), False),
    (RowResult(DUPLICATE), False),
]


@pytest.mark.parametrize(("settled", "unknown"), COSTS, ids=str)
def test_the_cost_of_which_runs_is_not_known(settled: RowResult, unknown: bool) -> None:
    assert settled.has_unknown_cost is unknown


def test_what_a_segment_comes_to() -> None:
    segment = a_segment(3)
    results = [RowResult(SUCCEEDED, "run_0", 2), RowResult(UNKNOWN, "run_1"), RowResult(FAILED, error="x")]
    for row, result in zip(segment.rows, results, strict=True):
        row.result = result
    assert segment.output_rows() == [output_row({"n": n}, results[n]) for n in range(3)]
    assert segment.summary("a/part") == Summary("a/part", {SUCCEEDED: 1, UNKNOWN: 1, FAILED: 1}, 2, 1)
    assert segment.is_collectable


def test_rows_in_memory_are_in_the_order_of_the_input() -> None:
    memory = RowsInMemory()
    parts: dict[int, list[dict[str, Any]]] = {2: [{"n": 2}], 0: [{"n": 0}, {"n": 1}], 1: []}
    for number, rows in parts.items():
        memory.write_part(number, rows)
    assert memory.rows == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_what_a_batch_comes_to() -> None:
    tally = Tally()
    for settled, _ in COSTS:
        tally.add(settled)
    tally.add(RowResult(FAILED, "run_9", 0.5, error="first"))
    tally.add(RowResult(FAILED, error="second"))
    assert tally.counts == {SUCCEEDED: 3, FAILED: 3, UNKNOWN: 2, NOT_SUBMITTED: 1, DUPLICATE: 1}
    assert (tally.failed, tally.settled, tally.credits, tally.unknown_costs) == (3, 10, 3.5, 3)
    assert tally.collectable == 1
    assert tally.first_failure == "first"


def test_a_segment_of_an_earlier_try_counts_like_its_rows() -> None:
    fates = [settled for settled, _ in COSTS if not settled.is_collectable]
    segment, one_by_one, at_once = a_segment(len(fates)), Tally(), Tally()
    for position, settled in enumerate(fates):
        segment.rows[position].result = settled
        one_by_one.add(settled)
    at_once.add_summary(7, segment.summary("a/part"))
    assert at_once.parts == {7: "a/part"}
    at_once.parts.clear()
    assert at_once == one_by_one
    at_once.add_summary(8, segment.summary(None))
    assert at_once.parts == {}
    assert at_once.settled == 2 * len(fates)


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ([], None),
        (["max_credits", "insufficient_credits"], "max_credits"),
        (["max_credits", "deadline"], "deadline"),
        (["deadline", "max_credits"], "deadline"),
        (["deadline", "max_failed_rows"], "max_failed_rows"),
        (["max_failed_rows", "unreadable_answers", "deadline"], "unreadable_answers"),
        (["max_failed_rows", "deadline"], "max_failed_rows"),
    ],
)
def test_of_several_reasons_to_stop_the_gravest_counts(reasons: list[str], said: str | None) -> None:
    tally = Tally()
    for reason in reasons:
        tally.stop(reason)
    assert tally.stopped_by == said


def test_a_row_may_be_given_another_result() -> None:
    tally = Tally()
    for settled, _ in COSTS:
        tally.add(settled)
        tally.add(settled, -1)
    assert +tally.counts == {}
    assert (tally.settled, tally.credits, tally.unknown_costs, tally.collectable) == (0, 0, 0, 0)


def test_the_answer_behind_the_gravest_reason_is_told() -> None:
    tally, answer = Tally(), BitScaleError("x")
    tally.stop("max_credits")
    tally.stop("unreadable_answers", answer)
    tally.stop("deadline")
    assert tally.cause is answer
