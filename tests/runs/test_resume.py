"""A try goes on with what was paid for, unless a person has cleared the task since it succeeded."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from airflow_provider_bitscale.runs.resume import Resume, Try, is_cleared, resume_rule

# The try that handed its result over, the one that runs, and whether the task was cleared between them.
# Airflow sets `max_tries` to the retries at first, and by a Clear to the tries so far plus the retries.
CASES: dict[str, tuple[Try, Try, bool]] = {
    "a retry": (Try(2, 1, 2, 0), Try(2, 2, 2, 0), False),
    "a retry after another task was cleared": (Try(2, 1, 2, 0), Try(2, 2, 2, 1), False),
    "a retry after the retries were lowered": (Try(3, 1, 3, 0), Try(3, 2, 2, 0), False),
    "a retry after the retries were raised": (Try(1, 1, 1, 0), Try(1, 2, 5, 1), False),
    "a retry after they were set to 0": (Try(3, 1, 3, 0), Try(3, 2, 0, 1), False),
    "a retry after a Clear": (Try(3, 2, 2, 1), Try(3, 3, 2, 1), False),
    "a retry after a Clear, and another task was cleared": (Try(3, 2, 2, 1), Try(3, 3, 2, 2), False),
    "a Clear": (Try(2, 1, 2, 0), Try(3, 2, 2, 1), True),
    "a Clear without retries": (Try(0, 1, 0, 0), Try(1, 2, 0, 1), True),
    "a Clear that leaves the state of the DAG run": (Try(2, 1, 2, 0), Try(3, 2, 2, 0), True),
    "a Clear after the retries were lowered by 2": (Try(3, 1, 3, 0), Try(2, 2, 1, 1), True),
    "a Clear after the retries were lowered by 1": (Try(3, 1, 3, 0), Try(3, 2, 2, 1), True),
    "the second try after it": (Try(3, 1, 3, 0), Try(3, 3, 2, 1), True),
    "a Clear after the third try, retries lowered to 0": (Try(3, 3, 3, 0), Try(3, 4, 0, 1), True),
    "a second Clear, after the retries were lowered": (Try(4, 3, 2, 1), Try(4, 4, 1, 2), True),
    "Clears are not counted": (Try(3, 1, 3), Try(3, 2, 2), True),
    "Clears are not counted, a retry": (Try(3, 1, 3), Try(3, 2, 3), False),
}


@pytest.mark.parametrize(("earlier", "now", "cleared"), CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("succeeded", [True, False])
def test_a_clear_is_told_from_a_retry(earlier: Try, now: Try, cleared: bool, succeeded: bool) -> None:
    assert is_cleared(earlier, now, succeeded=succeeded) is cleared


@pytest.mark.parametrize("succeeded", [True, False])
def test_without_try_numbers_the_success_callback_is_believed(succeeded: bool) -> None:
    assert is_cleared(Try(3), Try(3), succeeded=succeeded) is succeeded
    assert is_cleared(Try(3), Try(4), succeeded=succeeded)


@dataclass(frozen=True)
class Earlier:
    fingerprint: str
    collected: bool
    last_try: Try


FIRST, RETRY, CLEAR = Try(2, 1, 2, 0), Try(2, 2, 2, 0), Try(3, 2, 2, 1)
# The record, the try, and what the try does for the same request and for another one.
RULE: dict[str, tuple[bool, Try, Resume, Resume]] = {
    "unfinished, retried": (False, RETRY, Resume.ATTACH, Resume.CHANGED),
    "unfinished, cleared": (False, CLEAR, Resume.ATTACH, Resume.CHANGED),
    "collected, retried": (True, RETRY, Resume.ATTACH, Resume.START_OVER),
    "collected, cleared": (True, CLEAR, Resume.START_OVER, Resume.START_OVER),
}


@pytest.mark.parametrize(("collected", "this_try", "same", "other"), RULE.values(), ids=RULE.keys())
def test_what_a_try_does_with_a_record(collected: bool, this_try: Try, same: Resume, other: Resume) -> None:
    assert resume_rule(Earlier("print", collected, FIRST), "print", this_try) is same
    assert resume_rule(Earlier("other", collected, FIRST), "print", this_try) is other
