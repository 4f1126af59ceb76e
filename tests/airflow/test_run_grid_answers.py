"""Answers that another submission would not better: none is paid for because of them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api.config import API_CONTRACTS
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.operators import submission
from tests.airflow.test_run_grid_money import Task
from tests.support.clients import posted_bodies

CONTRACTS = API_CONTRACTS
ID_FIELDS = ["run_id", "request_id", "poll_url"]
WAITS = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


def out_of_credits(emulator: Emulator) -> None:
    """The next run ends failed, since the workspace has run out of credits."""
    error = {"code": "INSUFFICIENT_CREDITS", "message": "Not enough credits to run this grid."}
    emulator.control.add_fault("run_fails", times=1)
    emulator.control.add_fault("reshape", on="get_run", when="failed", set={"error": error})


@WAITS
@pytest.mark.parametrize("seen_by", ["the try that waits", "a retry"])
def test_a_run_that_failed_for_lack_of_credits_is_submitted_again_by_a_clear_alone(
    emulator: Emulator, deferrable: bool, seen_by: str
) -> None:
    out_of_credits(emulator)
    task = Task(emulator, deferrable=deferrable)
    if seen_by == "a retry":
        task.crash(crash_after="submitted")
        time.sleep(0.2)
    with pytest.raises(api.InsufficientCreditsError) as caught:
        task.attempt()
    assert isinstance(caught.value, AirflowFailException), "without retries"
    assert len(posted_bodies(emulator)) == 1
    task.clear()
    assert task.attempt()["status"] == "completed"
    assert len(posted_bodies(emulator)) == 2


def test_a_clear_that_finds_such_a_run_submits_another_one(emulator: Emulator) -> None:
    out_of_credits(emulator)
    task = Task(emulator)
    task.crash(crash_after="submitted")
    time.sleep(0.2)
    task.clear()
    assert task.attempt()["status"] == "completed"
    assert len(posted_bodies(emulator)) == 2


def test_a_clear_that_waits_for_its_run_has_retries_that_pay_for_nothing(emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends", times=1)
    task = Task(emulator, timeout=0.3)
    for act in (task.clear, lambda: None):
        with pytest.raises(api.RunTimedOutError):
            task.attempt()
        act()
    error = {"code": "RUN_LIMIT_EXCEEDED", "message": "1,000 of 1,000 runs"}
    emulator.control.add_fault("reshape", on="get_run", set={"status": "failed", "error": error})
    with pytest.raises(api.RunLimitExceededError):
        task.attempt()
    assert len(posted_bodies(emulator)) == 1


def unnamed(emulator: Emulator, **fields: Any) -> None:
    """The next submission is accepted, and its answer does not name the run."""
    emulator.control.add_fault("reshape", on="run_grid", times=1, drop=ID_FIELDS, **fields)


@WAITS
@pytest.mark.parametrize("choice", ["fail", "resubmit"])
def test_an_acceptance_that_names_no_run_is_never_submitted_again(
    emulator: Emulator, deferrable: bool, choice: str
) -> None:
    unnamed(emulator, set={"job": "job_77"})
    task = Task(emulator, deferrable=deferrable, on_ambiguous_submit=choice)
    for cleared in (False, True, True):
        if cleared:
            task.clear()
        with pytest.raises(api.UnreadableAcceptanceError, match="job_77") as caught:
            task.attempt()
        assert isinstance(caught.value, AirflowFailException)
        assert "bitscale_adopt_run_id" in str(caught.value)
        assert task.record["phase"] == "unreadable"
    [run] = emulator.control.state()["runs"]
    task.store.values["bitscale_adopt_run_id"] = json.dumps(run["run_id"])
    assert task.attempt()["run_id"] == run["run_id"]
    assert len(posted_bodies(emulator)) == 1


def test_without_its_record_the_row_is_submitted_again(emulator: Emulator) -> None:
    unnamed(emulator)
    task = Task(emulator)
    with pytest.raises(api.UnreadableAcceptanceError, match="delete the key 'bitscale_run'"):
        task.attempt()
    del task.store.values["bitscale_run"]
    assert task.attempt()["status"] == "completed"
    assert len(posted_bodies(emulator)) == 2


# What a synchronous request may be answered that neither names the run nor holds its result.
SYNC_ANSWERS: dict[str, dict[str, Any]] = {
    "completed, no outputs": {"drop": [*ID_FIELDS, "outputs"]},
    "completed, text as outputs": {"drop": ID_FIELDS, "set": {"outputs": "see the grid"}},
    "running": {"drop": [*ID_FIELDS, "outputs"], "set": {"status": "running"}},
}


@pytest.mark.parametrize("choice", ["fail", "resubmit"])
@pytest.mark.parametrize("answer", SYNC_ANSWERS.values(), ids=SYNC_ANSWERS)
def test_a_sync_answer_without_id_and_result_is_never_submitted_again(
    emulator: Emulator, answer: dict[str, Any], choice: str
) -> None:
    emulator.control.add_fault("reshape", on="run_grid", times=1, **answer)
    task = Task(emulator, mode="sync", on_ambiguous_submit=choice)
    for _ in range(2):
        with pytest.raises(api.UnreadableAcceptanceError, match="Answered: keys"):
            task.attempt()
        task.clear()
    assert len(posted_bodies(emulator)) == 1


@WAITS
@pytest.mark.usefixtures("impatient")
def test_outputs_that_cannot_be_read_are_asked_for_again_by_a_clear(
    emulator: Emulator, deferrable: bool
) -> None:
    emulator.control.add_fault("reshape", on="get_run", when="completed", set={"outputs": "none yet"})
    task = Task(emulator, deferrable=deferrable)
    with pytest.raises(api.UnreadableOutputsError):
        task.attempt()
    assert task.record["phase"] == "submitted"
    emulator.control.clear_faults()
    task.clear()
    assert task.attempt()["outputs"]["Enriched Email"]
    assert len(posted_bodies(emulator)) == 1


@WAITS
def test_a_retry_waits_for_a_run_that_its_replica_does_not_know_yet(
    emulator: Emulator, deferrable: bool
) -> None:
    emulator.control.add_fault("read_lag", on="run_grid", polls=2)
    task = Task(emulator, deferrable=deferrable)
    task.crash(crash_after="submitted")
    assert task.attempt()["run_id"] == task.record["run_id"]
    assert len(posted_bodies(emulator)) == 1


@WAITS
@pytest.mark.parametrize("on", ["run_grid", "get_run"])
def test_a_key_that_is_refused_once_by_a_hiccup_fails_no_run(
    on: str, deferrable: bool, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "HICCUP_SECONDS", 0.0)
    emulator.control.add_fault("status", on=on, status=401, code="INVALID_API_KEY", times=1)
    assert Task(emulator, deferrable=deferrable).attempt()["status"] == "completed"
    assert len(emulator.control.state()["runs"]) == 1


def test_a_key_that_is_refused_twice_is_believed_to_be_wrong(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "HICCUP_SECONDS", 0.0)
    emulator.control.add_fault("status", on="run_grid", status=401, code="INVALID_API_KEY")
    with pytest.raises(api.AuthenticationError):
        Task(emulator).attempt()
    assert len(posted_bodies(emulator)) == 2
