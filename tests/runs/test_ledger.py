"""What a new try makes of what an earlier one left behind."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from airflow_provider_bitscale.api import AmbiguousSubmitError
from airflow_provider_bitscale.runs.ledger import (
    COLLECTED,
    INTENT,
    KEY,
    SUBMITTED,
    Ambiguous,
    Attach,
    Ledger,
    Record,
    Submit,
    next_step,
)


class JsonStore:
    """A store that keeps text only, as Airflow's does."""

    def __init__(self, **values: Any) -> None:
        self.texts = {key: json.dumps(value) for key, value in values.items()}

    def get(self, key: str) -> Any:
        return json.loads(self.texts.get(key, "null"))

    def set(self, key: str, value: Any) -> None:
        self.texts[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self.texts.pop(key, None)


INTENDED = Record(INTENT, 2, "print", "grid_001", 1000.5, column_names={"c-1": "Full Name"})
RECORDS = {
    "intent": INTENDED,
    "submitted": replace(INTENDED, phase=SUBMITTED, run_id="run_1"),
    "collected": replace(INTENDED, phase=COLLECTED, run_id="run_1"),
    "collected sync": replace(INTENDED, phase=COLLECTED, result={"status": "completed"}),
}

# The record found; then what follows for the same wish and for another one, without a clear and after one.
STEPS: dict[str, tuple[str, bool, str, str, str, str]] = {
    "intent": ("intent", False, "ambiguous", "ambiguous", "repeat", "repeat"),
    "intent, resubmit": ("intent", True, "repeat", "repeat", "repeat", "repeat"),
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
    for fingerprint, generation, expected in (
        ("print", 2, retry),
        ("print", 3, cleared),
        ("other", 2, changed),
        ("other", 3, changed_and_cleared),
    ):
        step = next_step(record, fingerprint=fingerprint, generation=generation, resubmit_ambiguous=resubmit)
        assert step == named[expected]


@pytest.mark.parametrize("resubmit", [True, False])
def test_without_a_record_a_run_is_submitted(resubmit: bool) -> None:
    assert next_step(None, fingerprint="p", generation=0, resubmit_ambiguous=resubmit) == Submit()


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_a_record_survives_as_json(record: Record) -> None:
    ledger = Ledger(JsonStore())
    ledger.write(record)
    assert ledger.read() == record


def test_the_life_of_a_record() -> None:
    ledger = Ledger(JsonStore())
    assert ledger.read() is None
    ledger.write(INTENDED)
    submitted = ledger.submitted(INTENDED, "run_1")
    assert ledger.read() == submitted == RECORDS["submitted"]
    ledger.collected(5)
    assert ledger.read() == replace(submitted, phase=COLLECTED, generation=5)
    ledger.forget()
    ledger.forget()
    assert ledger.read() is None


def test_the_result_of_a_sync_run_is_kept() -> None:
    ledger = Ledger(JsonStore())
    ledger.submitted(INTENDED, None, {"status": "completed", "outputs": {"a": 1}})
    record = ledger.read()
    assert record is not None
    assert record.result == {"status": "completed", "outputs": {"a": 1}}


def test_a_store_that_fails_is_not_passed_over() -> None:
    class Broken(JsonStore):
        def set(self, key: str, value: Any) -> None:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Ledger(Broken()).write(INTENDED)


UNREADABLE: dict[str, Any] = {
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


@pytest.mark.parametrize("stored", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_record_that_cannot_be_read_is_not_taken_for_none(stored: Any) -> None:
    with pytest.raises(AmbiguousSubmitError, match="cannot be read"):
        Ledger(JsonStore(**{KEY: stored})).read()
