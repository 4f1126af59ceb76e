"""What the logs of earlier tries tell of rows, and what becomes of a row's entry."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.batch.store.segment_records import ANNOUNCED, Entry
from airflow_provider_bitscale.batch.store.sent_rows import SentRows

# Lines about row 7, and what its entry becomes if the store has it as announced: if the logs of all tries are
# here, and if one is missing.
LINES: dict[str, tuple[list[str], Entry, Entry]] = {
    "never sent": ([], None, ANNOUNCED),
    "another row was sent": (["sent 70"], None, ANNOUNCED),
    "between request and answer": (["sent 7"], ANNOUNCED, ANNOUNCED),
    "not processed": (["sent 7", "not-processed 7"], None, ANNOUNCED),
    "not processed, and sent again": (["sent 7", "not-processed 7", "sent 7"], ANNOUNCED, ANNOUNCED),
    "one of two requests was not processed": (["sent 7", "sent 7", "not-processed 7"], ANNOUNCED, ANNOUNCED),
    "accepted": (["sent 7", "accepted 7 run_1"], "run_1", "run_1"),
    "accepted at the second request": (["sent 7", "sent 7", "accepted 7 run_1"], "run_1", "run_1"),
    "answered at once, and the result is lost": (["sent 7", "answered 7"], ANNOUNCED, ANNOUNCED),
    "a line of which a part was written": (["sen"], ANNOUNCED, ANNOUNCED),
    "a word that is none": (["send 7"], ANNOUNCED, ANNOUNCED),
    "a row that is none": (["sent seven"], ANNOUNCED, ANNOUNCED),
    "an id is missing": (["sent 7", "accepted 7"], ANNOUNCED, ANNOUNCED),
    "words too many": (["sent 7", "accepted 7 run_1 or_2"], ANNOUNCED, ANNOUNCED),
}


@pytest.mark.parametrize(("lines", "entry", "with_a_gap"), LINES.values(), ids=LINES.keys())
def test_what_becomes_of_a_row_that_was_announced(lines: list[str], entry: Entry, with_a_gap: Entry) -> None:
    for complete, expected in ((True, entry), (False, with_a_gap)):
        evidence = SentRows(complete=complete)
        evidence.add(lines)
        assert evidence.entry(7, ANNOUNCED) == expected


@pytest.mark.parametrize(
    ("lines", "entry", "then"),
    [
        (["sent 7", "accepted 7 run_1"], "run_0", "run_0"),
        ([], "run_0", "run_0"),
        ([], None, None),
        (["sent 7"], None, ANNOUNCED),
        (["sent 7", "accepted 7 run_1"], None, "run_1"),
    ],
)
def test_what_becomes_of_other_entries(lines: list[str], entry: Entry, then: Entry) -> None:
    evidence = SentRows()
    evidence.add(lines)
    assert evidence.entry(7, entry) == then


def test_logs_of_several_tries_are_read_together() -> None:
    first, second = SentRows(), SentRows()
    first.add(["sent 1", "sent 2", "not-processed 2", "sent 3", "accepted 3 run_3"])
    second.add(["sent 2"])
    both = SentRows()
    both.include(first)
    both.include(second)
    assert [both.entry(row, ANNOUNCED) for row in range(5)] == [None, ANNOUNCED, ANNOUNCED, "run_3", None]
    both.include(SentRows(complete=False))
    assert [both.entry(row, ANNOUNCED) for row in range(5)] == [
        ANNOUNCED,
        ANNOUNCED,
        ANNOUNCED,
        "run_3",
        ANNOUNCED,
    ]


@pytest.mark.parametrize(
    ("lines", "awaits"),
    [
        ([], False),
        (["sent 1"], True),
        (["sent 1", "answered 1"], False),
        (["sent 1", "sent 1", "accepted 1 r"], True),
    ],
)
def test_whether_an_answer_may_still_come(lines: list[str], awaits: bool) -> None:
    evidence = SentRows()
    evidence.add(lines)
    assert evidence.awaits_answers is awaits
