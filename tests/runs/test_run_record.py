"""What a new try makes of what an earlier one left behind."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from airflow_provider_bitscale.api import AmbiguousSubmitError, InvalidRequestError
from airflow_provider_bitscale.api.errors import UnreadableAcceptanceError
from airflow_provider_bitscale.runs import run_record as ledger_module
from airflow_provider_bitscale.runs.resume import Try
from airflow_provider_bitscale.runs.run_record import (
    ADOPT_KEY,
    COLLECTED,
    INTENT,
    RUN_KEY,
    SUBMITTED,
    UNREADABLE,
    Ambiguous,
    Attach,
    Intent,
    Record,
    RunRecords,
    Submit,
    next_step,
)
from airflow_provider_bitscale.runs.state_store import OwnerChangedError
from tests.support.json_store import JsonStore

FIRST, RETRIED = Try(2, 1, 2, 0), Try(2, 2, 2, 0)
CLEARED = Try(3, 2, 2, 1)
INTENDED = Record(INTENT, FIRST, "print", "grid_001", 1000.5, column_names={"c-1": "Full Name"})
RECORDS = {
    "intent": INTENDED,
    "unreadable": replace(INTENDED, phase=UNREADABLE, answer="200, keys: x"),
    "submitted": replace(INTENDED, phase=SUBMITTED, run_id="run_1"),
    "collected": replace(INTENDED, phase=COLLECTED, run_id="run_1"),
    "collected sync": replace(INTENDED, phase=COLLECTED, result={"status": "completed"}),
}

# The record found; then what follows for the same wish and for another one, without a clear and after one.
STEPS: dict[str, tuple[str, bool, str, str, str, str]] = {
    "intent": ("intent", False, "ambiguous", "ambiguous", "repeat", "repeat"),
    "intent, resubmit": ("intent", True, "repeat", "repeat", "repeat", "repeat"),
    "unreadable": ("unreadable", False, "ambiguous", "ambiguous", "repeat", "repeat"),
    "unreadable, resubmit": ("unreadable", True, "ambiguous", "ambiguous", "repeat", "repeat"),
    "submitted": ("submitted", False, "attach", "attach", "repeat", "repeat"),
    "submitted, resubmit": ("submitted", True, "attach", "attach", "repeat", "repeat"),
    "collected": ("collected", False, "attach", "submit", "submit", "submit"),
    "collected, resubmit": ("collected", True, "attach", "submit", "submit", "submit"),
    "collected sync": ("collected sync", False, "attach", "submit", "submit", "submit"),
}


@pytest.mark.parametrize(
    ("found", "resubmit", "retry", "cleared", "changed", "changed_and_cleared"),
    STEPS.values(),
    ids=STEPS.keys(),
)
def test_what_a_try_does(
    found: str, resubmit: bool, retry: str, cleared: str, changed: str, changed_and_cleared: str
) -> None:
    record = RECORDS[found]
    named = {
        "ambiguous": Ambiguous(record),
        "attach": Attach(record),
        "submit": Submit(),
        "repeat": Submit(instead_of=record),
    }
    for fingerprint, this_try, expected in (
        ("print", RETRIED, retry),
        ("print", CLEARED, cleared),
        ("other", RETRIED, changed),
        ("other", CLEARED, changed_and_cleared),
    ):
        step = next_step(record, fingerprint=fingerprint, this_try=this_try, resubmit_ambiguous=resubmit)
        assert step == named[expected]


@pytest.mark.parametrize("resubmit", [True, False])
def test_without_a_record_a_run_is_submitted(resubmit: bool) -> None:
    assert next_step(None, fingerprint="p", this_try=FIRST, resubmit_ambiguous=resubmit) == Submit()


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_a_record_survives_as_json(record: Record) -> None:
    run_records = RunRecords(JsonStore())
    run_records.write(record)
    assert run_records.read() == record


def test_the_life_of_a_record() -> None:
    run_records = RunRecords(JsonStore())
    assert run_records.read() is None
    run_records.write(INTENDED)
    submitted = INTENDED.submitted("run_1")
    run_records.write(submitted)
    assert run_records.read() == submitted == RECORDS["submitted"]
    run_records.collected(RETRIED)
    assert run_records.read() == replace(submitted, phase=COLLECTED, last_try=RETRIED)
    run_records.forget()
    run_records.forget()
    assert run_records.read() is None


def test_the_result_of_a_sync_run_is_kept() -> None:
    run_records = RunRecords(JsonStore())
    run_records.write(INTENDED.submitted(None, {"status": "completed", "outputs": {"a": 1}}))
    record = run_records.read()
    assert record is not None
    assert record.result == {"status": "completed", "outputs": {"a": 1}}


def test_a_store_that_fails_is_not_passed_over() -> None:
    class Broken(JsonStore):
        def set(self, key: str, value: Any) -> None:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        RunRecords(Broken()).write(INTENDED)


NO_RECORDS: dict[str, Any] = {
    "text": "run_1",
    "number": 7,
    "list": ["run_1"],
    "empty object": {},
    "field of a later version": {**asdict(INTENDED), "colour": "red"},
    "field missing": {"phase": SUBMITTED, "run_id": "run_1"},
    "phase of a later version": {**asdict(RECORDS["submitted"]), "phase": "paused"},
    "submitted without an id": {**asdict(INTENDED), "phase": SUBMITTED},
    "collected without anything": {**asdict(INTENDED), "phase": COLLECTED},
}


@pytest.mark.parametrize("stored", NO_RECORDS.values(), ids=NO_RECORDS.keys())
def test_a_record_that_cannot_be_read_is_not_taken_for_none(stored: Any) -> None:
    with pytest.raises(AmbiguousSubmitError, match="cannot be read"):
        RunRecords(JsonStore(**{RUN_KEY: stored})).read()


def test_what_could_not_be_written_blocks_no_clear_after_a_success() -> None:
    run_records = RunRecords(JsonStore())
    run_records.write(INTENDED)
    run_records.collected(RETRIED)
    assert run_records.read() is None


@pytest.mark.parametrize(
    ("record", "kind", "text"),
    [
        (INTENDED, AmbiguousSubmitError, "may have been started"),
        (RECORDS["unreadable"], UnreadableAcceptanceError, "does not name it: 200, keys: x"),
    ],
    ids=["lost answer", "unreadable answer"],
)
def test_whoever_may_not_submit_is_told_both_ways_on(
    record: Record, kind: type[Exception], text: str
) -> None:
    error = Ambiguous(record).error
    assert type(error) is kind
    for expected in (text, RUN_KEY, ADOPT_KEY):
        assert expected in str(error)


@pytest.mark.parametrize("stored", ["run_1", " run_1\n"])
def test_a_run_to_adopt_is_named_by_a_text(stored: str) -> None:
    store = JsonStore(**{ADOPT_KEY: stored})
    run_records = RunRecords(store)
    assert run_records.run_to_adopt(RETRIED) == "run_1"
    run_records.adopted(RECORDS["submitted"])
    assert (run_records.read(), run_records.run_to_adopt(RETRIED)) == (RECORDS["submitted"], None)


@pytest.mark.parametrize("stored", ["", "  ", 7, ["run_1"], {"run_id": "run_1"}, True])
def test_what_is_no_id_is_refused_before_anything_is_paid_for(stored: Any) -> None:
    with pytest.raises(InvalidRequestError, match="must hold a run id"):
        RunRecords(JsonStore(**{ADOPT_KEY: stored})).run_to_adopt(RETRIED)


class FailingStore(JsonStore):
    """Fails so many times before it takes a value."""

    def __init__(self, *problems: Exception) -> None:
        super().__init__()
        self.problems = list(problems)

    def set(self, key: str, value: Any) -> None:
        if self.problems:
            raise self.problems.pop(0)
        super().set(key, value)


def test_an_intent_is_written_though_the_store_is_away_for_a_moment() -> None:
    store = FailingStore(OSError("away"))
    Intent(RunRecords(store), INTENDED).about_to_send()
    assert RunRecords(store).read() == INTENDED


def test_without_an_intent_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "INTENT_PATIENCE", 0.0)
    with pytest.raises(OSError, match="away"):
        Intent(RunRecords(FailingStore(OSError("away"))), INTENDED).about_to_send()


def test_a_try_that_lost_its_task_learns_it_at_its_first_write() -> None:
    store = FailingStore(OwnerChangedError("cleared"))
    with pytest.raises(OwnerChangedError):
        Intent(RunRecords(store), INTENDED).about_to_send()
    assert store.texts == {}
