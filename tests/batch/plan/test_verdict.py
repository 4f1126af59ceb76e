"""Whether a batch has come to enough, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.batch.plan.verdict import Ending, Verdict


def ending(
    succeeded: int = 0,
    failed: int = 0,
    unknown: int = 0,
    not_submitted: int = 0,
    duplicate: int = 0,
    **options: Any,
) -> Ending:
    counts = {
        "succeeded": succeeded, "failed": failed, "unknown": unknown, "not_submitted": not_submitted,
        "duplicate": duplicate,
    }  # fmt: skip
    return Ending(counts, **{"collectable": 0, "stopped_by": None, "max_failed": 0, **options})


# What it came to, and the verdict where rows may not be missing, and where they may.
CASES: dict[str, tuple[Ending, Verdict, Verdict]] = {
    "no rows": (ending(), Verdict.SUCCEED, Verdict.SUCCEED),
    "all found": (ending(20), Verdict.SUCCEED, Verdict.SUCCEED),
    "duplicates are not missing": (ending(3, duplicate=9), Verdict.SUCCEED, Verdict.SUCCEED),
    "as many failed as may": (ending(18, failed=2, max_failed=2), Verdict.SUCCEED, Verdict.SUCCEED),
    "more failed than may": (
        ending(17, failed=3, max_failed=2),
        Verdict.TOO_MANY_FAILED,
        Verdict.TOO_MANY_FAILED,
    ),
    "all failed, as they may": (ending(failed=5, max_failed=5), Verdict.INCOMPLETE, Verdict.INCOMPLETE),
    "runs are known": (ending(18, unknown=2, collectable=2), Verdict.ASK_AGAIN, Verdict.SUCCEED),
    "some runs are known": (ending(18, unknown=2, collectable=1), Verdict.ASK_AGAIN, Verdict.SUCCEED),
    "only known runs": (ending(unknown=2, collectable=2), Verdict.ASK_AGAIN, Verdict.ASK_AGAIN),
    "runs are unknown, too": (ending(18, unknown=2), Verdict.INCOMPLETE, Verdict.SUCCEED),
    "only unknown runs": (ending(unknown=2), Verdict.INCOMPLETE, Verdict.INCOMPLETE),
    "the author's own cap": (
        ending(8, not_submitted=12, stopped_by="max_credits"),
        Verdict.SUCCEED,
        Verdict.SUCCEED,
    ),
    "the author's own cap, before any row": (
        ending(not_submitted=12, stopped_by="max_credits"),
        Verdict.INCOMPLETE,
        Verdict.INCOMPLETE,
    ),
    "the author's own cap, and a row unknown": (
        ending(8, unknown=1, not_submitted=11, stopped_by="max_credits"),
        Verdict.INCOMPLETE,
        Verdict.SUCCEED,
    ),
    "credits ran out": (
        ending(8, not_submitted=12, stopped_by="insufficient_credits"),
        Verdict.INCOMPLETE,
        Verdict.SUCCEED,
    ),
    "the quota ran out, and runs are known": (
        ending(8, unknown=2, collectable=2, not_submitted=10, stopped_by="run_limit_exceeded"),
        Verdict.ASK_AGAIN,
        Verdict.SUCCEED,
    ),
    "refused from the start": (
        ending(not_submitted=20, stopped_by="insufficient_credits", refused=True),
        Verdict.REFUSED,
        Verdict.REFUSED,
    ),
    "refused from the start of a retry": (
        ending(8, not_submitted=12, stopped_by="insufficient_credits", refused=True),
        Verdict.INCOMPLETE,
        Verdict.SUCCEED,
    ),
    "time was up": (
        ending(8, unknown=2, collectable=2, not_submitted=10, stopped_by="deadline"),
        Verdict.OUT_OF_TIME,
        Verdict.OUT_OF_TIME,
    ),
    "time was up, and too many failed": (
        ending(8, failed=2, not_submitted=10, stopped_by="deadline", max_failed=1),
        Verdict.TOO_MANY_FAILED,
        Verdict.TOO_MANY_FAILED,
    ),
    "the first ones were all refused": (
        ending(failed=10, not_submitted=90, stopped_by="refused", refused=True),
        Verdict.REFUSED,
        Verdict.REFUSED,
    ),
    "the first ones were all lost": (
        ending(unknown=10, not_submitted=90, stopped_by="ambiguous_answers"),
        Verdict.INCOMPLETE,
        Verdict.INCOMPLETE,
    ),
    "answers that could not be read": (
        ending(8, failed=2, unknown=3, not_submitted=7, stopped_by="unreadable_answers"),
        Verdict.UNREADABLE,
        Verdict.UNREADABLE,
    ),
}


@pytest.mark.parametrize(("end", "whole", "any_"), CASES.values(), ids=CASES.keys())
def test_the_verdict(end: Ending, whole: Verdict, any_: Verdict) -> None:
    assert end.verdict(fail_when_incomplete=True) is whole
    assert end.verdict(fail_when_incomplete=False) is any_


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (ending(20, duplicate=4), "0 of 20 rows are missing: none"),
        (
            ending(8000, failed=1, unknown=5, not_submitted=1200, collectable=3, stopped_by="max_credits"),
            (
                "1,206 of 9,206 rows are missing: 1 failed, 3 unknown with a run id, "
                "2 unknown without a run id, 1,200 not submitted (max_credits)"
            ),
        ),
    ],
    ids=["none", "many"],
)
def test_the_numbers(end: Ending, told: str) -> None:
    assert str(end) == told
