"""Which runs count as not delivered, and which of them can be delivered after all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.runs.undelivered import (
    GIVEN_UP_AFTER,
    OVERLAP_SECONDS,
    Backlog,
    can_be_delivered,
)

NOW = 2_000_000_000.0

# What was stored, what was submitted since, what was delivered since: what is open then.
READ: dict[str, tuple[dict[str, float], dict[str, float], set[str], dict[str, float]]] = {
    "nothing yet": ({}, {}, set(), {}),
    "submitted": ({}, {"a": 1.0, "b": 2.0}, set(), {"a": 1.0, "b": 2.0}),
    "delivered": ({}, {"a": 1.0, "b": 2.0}, {"a"}, {"b": 2.0}),
    "delivered, and submitted elsewhere": ({}, {"a": 1.0}, {"a", "z"}, {}),
    "open still": ({"a": 1.0}, {}, set(), {"a": 1.0}),
    "open, and delivered late": ({"a": 1.0}, {"b": 2.0}, {"a"}, {"b": 2.0}),
    "submitted, and told again by a cleared task": ({"a": 1.0}, {"a": 9.0}, set(), {"a": 1.0}),
}


@pytest.mark.parametrize(("stored", "submitted", "delivered", "expected"), READ.values(), ids=READ.keys())
def test_what_is_submitted_and_not_delivered_is_open(
    stored: dict[str, float], submitted: dict[str, float], delivered: set[str], expected: dict[str, float]
) -> None:
    backlog = Backlog(5.0, stored).after_reading(submitted, delivered, until=10.0)
    assert backlog == Backlog(10.0, expected)


def test_what_is_collected_is_not_open_any_more() -> None:
    assert Backlog(5.0, {"a": 1.0, "b": 2.0}).without(["a"]) == Backlog(5.0, {"b": 2.0})


def test_a_clock_that_goes_back_does_not_make_submissions_read_twice() -> None:
    assert Backlog(10.0).after_reading({}, (), until=5.0).read_until == 10.0


SINCE = {
    "the first time": (0.0, NOW - GIVEN_UP_AFTER),
    "later": (NOW - 900, NOW - 900 - OVERLAP_SECONDS),
    "after a long pause": (NOW - 2 * GIVEN_UP_AFTER, NOW - GIVEN_UP_AFTER),
}


@pytest.mark.parametrize(("read_until", "since"), SINCE.values(), ids=SINCE.keys())
def test_events_are_read_from_the_last_time_on_and_some_again(read_until: float, since: float) -> None:
    assert Backlog(read_until).since(NOW) == since


def test_a_run_is_given_up_30_days_after_its_submission_and_not_before() -> None:
    backlog = Backlog(NOW, {"old": NOW - GIVEN_UP_AFTER - 1, "young": NOW - GIVEN_UP_AFTER + 1})
    assert backlog.given_up(NOW) == ["old"]


def test_a_backlog_survives_json() -> None:
    backlog = Backlog(5.5, {"a": 1.25})
    assert Backlog.from_json(json.loads(json.dumps(backlog.to_json()))) == backlog


@pytest.mark.parametrize(
    "stored",
    [None, "text", [], {}, {"read_until": 1.0}, {"read_until": "x", "open": {}}, {"open": []}],
    ids=str,
)
def test_what_cannot_be_read_is_an_empty_backlog_which_reads_all_again(stored: Any) -> None:
    assert Backlog.from_json(stored) == Backlog()


ANSWERS: dict[str, tuple[dict[str, Any], bool]] = {
    "completed": ({"status": "completed", "outputs": {"c": 1}}, True),
    "completed, and nothing was found": ({"status": "completed", "outputs": {}}, True),
    "completed without outputs": ({"status": "completed"}, False),
    "failed": ({"status": "failed", "error": "no credits"}, True),
    "running": ({"status": "running"}, False),
    "queued": ({"status": "queued"}, False),
    "a status that is not known": ({"status": "paused", "outputs": {"c": 1}}, False),
    "without its id": ({"run_id": None, "status": "completed", "outputs": {}}, True),
    "another run": ({"run_id": "run_2", "status": "completed", "outputs": {}}, False),
}


@pytest.mark.parametrize(("answer", "expected"), ANSWERS.values(), ids=ANSWERS.keys())
def test_only_a_run_that_has_ended_with_its_result_can_be_delivered(
    answer: dict[str, Any], expected: bool
) -> None:
    assert can_be_delivered(parse_run({"run_id": "run_1", **answer}), "run_1") is expected
