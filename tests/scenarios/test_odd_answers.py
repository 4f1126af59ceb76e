"""Answers in shapes that no document has: a run that was paid for is found and collected all the same."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale import exceptions
from airflow_provider_bitscale.api import RunStatus
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import GRID_ID
from tests.support.clients import jane, posts
from tests.support.hooks import KINDS, HookCaller, connect, hook_caller


@pytest.fixture(params=KINDS)
def call(request: pytest.FixtureRequest, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> HookCaller:
    """A hook's methods, or their async twins."""
    connect(monkeypatch, emulator)
    return hook_caller(request.param)


@pytest.fixture
def run_id(contract: str) -> str:
    """What the contract calls the id of a run."""
    return "run_id" if contract == "v1.1.0" else "request_id"


# In terms of the id's documented name.
ACCEPTANCES: dict[str, dict[str, Any]] = {
    "another name": {"rename": {"ID": "requestId"}},
    "an id alone": {"rename": {"ID": "id"}},
    "wrapped": {"wrap": "data"},
    "a list": {"as_list": True},
    "wrapped in a list": {"as_list": True, "wrap": "data"},
    "poll_url alone": {"drop": ["ID"]},
}


@pytest.mark.parametrize("shape", ACCEPTANCES.values(), ids=ACCEPTANCES.keys())
def test_a_run_whose_id_is_told_otherwise_is_collected(
    call: HookCaller, emulator: Emulator, run_id: str, shape: dict[str, Any]
) -> None:
    shape = {
        **shape,
        **({"rename": {run_id: shape["rename"]["ID"]}} if "rename" in shape else {}),
        **({"drop": [run_id]} if "drop" in shape else {}),
    }
    emulator.control.add_fault("reshape", on="run_grid", **shape)
    accepted = call("run_grid", GRID_ID, jane(emulator)).run_id
    run = call("wait_for_run", GRID_ID, accepted, poll_interval=0.05, timeout=30)
    assert (run.run_id, run.status) == (accepted, RunStatus.COMPLETED)
    assert len(posts(emulator)) == 1


POLLS: dict[str, dict[str, Any]] = {
    "upper case": {"set": {"status": "COMPLETED"}},
    "another word": {"set": {"status": "success"}},
    "partly": {"set": {"status": "partially_completed"}},
    "a result": {"rename": {"outputs": "result"}},
    "cells": {"cells": "column_id"},
    "wrapped": {"wrap": "data"},
    "a list": {"as_list": True},
}


@pytest.mark.parametrize("shape", POLLS.values(), ids=POLLS.keys())
def test_a_run_that_ends_in_other_words_is_collected(
    call: HookCaller, emulator: Emulator, shape: dict[str, Any]
) -> None:
    accepted = call("run_grid", GRID_ID, jane(emulator)).run_id
    emulator.control.add_fault("reshape", on="get_run", when="completed", **shape)
    run = call("wait_for_run", GRID_ID, accepted, poll_interval=0.05, timeout=10)
    assert run.status is RunStatus.COMPLETED
    assert run.outputs
    assert all(value is None or isinstance(value, str) for value in run.outputs.values())


@pytest.mark.parametrize("outputs", [None, [], "<html>", 7], ids=repr)
def test_outputs_that_come_later_are_waited_for(call: HookCaller, emulator: Emulator, outputs: Any) -> None:
    accepted = call("run_grid", GRID_ID, jane(emulator)).run_id
    emulator.control.add_fault("reshape", on="get_run", when="completed", set={"outputs": outputs}, times=2)
    run = call("wait_for_run", GRID_ID, accepted, poll_interval=0.05, timeout=10)
    assert run.outputs


@pytest.mark.usefixtures("impatient")
def test_outputs_that_never_come_are_an_error_that_tells_what_was_answered(
    call: HookCaller, emulator: Emulator
) -> None:
    accepted = call("run_grid", GRID_ID, jane(emulator)).run_id
    emulator.control.add_fault("reshape", on="get_run", when="completed", set={"outputs": 0, "note": "n-7"})
    with pytest.raises(exceptions.UnreadableOutputsError) as caught:
        call("wait_for_run", GRID_ID, accepted, poll_interval=0.05, timeout=10)
    assert str(accepted) in str(caught.value)
    assert "n-7" in str(caught.value)
    assert len(posts(emulator)) == 1


def test_a_replica_that_lags_behind_is_waited_for(call: HookCaller, emulator: Emulator) -> None:
    emulator.control.add_fault("read_lag", polls=3)
    accepted = call("run_grid", GRID_ID, jane(emulator)).run_id
    run = call("wait_for_run", GRID_ID, accepted, poll_interval=0.05, timeout=30)
    assert run.status is RunStatus.COMPLETED


def test_odd_values_are_carried(call: HookCaller, emulator: Emulator) -> None:
    odd = {"a": "cut \ud83d", "b": "nul \x00", "c": float("nan"), "d": 10**30}
    accepted = call("run_grid", GRID_ID, jane(emulator)).run_id
    emulator.control.add_fault("reshape", on="get_run", when="completed", set={"outputs": odd})
    run = call("wait_for_run", GRID_ID, accepted, poll_interval=0.05, timeout=10)
    assert run.outputs == {"a": "cut �", "b": "nul ", "c": None, "d": str(10**30)}
