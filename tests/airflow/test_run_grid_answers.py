"""Answers that another submission would not better: none is paid for because of them."""

from __future__ import annotations

import time

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api.config import API_CONTRACTS
from airflow_provider_bitscale.emulator import Emulator
from tests.airflow.conftest import posted_bodies
from tests.airflow.test_run_grid_money import Task

CONTRACTS = API_CONTRACTS
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
