"""Every way through RunGridOperator returns the same, and says the same when it goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api.config import API_CONTRACTS, V1_1_0
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from tests.airflow.conftest import Connect
from tests.support.clients import posted_bodies
from tests.support.task_runs import Crash, TaskRun

CONTRACTS = API_CONTRACTS

CONTACTS = ("07b8c9d0-e1f2-4456-8123-567890123456", "18c9d0e1-f203-4567-8234-678901234567")
JANE = {"Full Name": "Jane Doe", "Company": "Acme Corp"}
FULL_NAME = "3f7a1c2e-9b4d-4e8f-a012-bc3d56ef7890"
OUTPUTS = {"Enriched Email": "jane.doe@acmecorp.com", "LinkedIn URL": "https://linkedin.com/in/janedoe"}


def operator(**arguments: Any) -> RunGridOperator:
    defaults: dict[str, Any] = {
        "task_id": "enrich",
        "grid_id": "grid_001",
        "inputs": JANE,
        "output_columns": list(OUTPUTS),
        "poll_interval": 0.05,
        "deferrable": False,
    }
    return RunGridOperator(**{**defaults, **arguments})


def task(**arguments: Any) -> TaskRun:
    return TaskRun(lambda: operator(**arguments))


def through_worker(**arguments: Any) -> Any:
    return task(**arguments).attempt()


def through_triggerer(**arguments: Any) -> Any:
    run = task(deferrable=True, **arguments)
    result = run.attempt()
    assert len(run.triggers) == 1
    return result


def through_sync(**arguments: Any) -> Any:
    return task(mode="sync", **arguments).attempt()


def _after_crash(phase: str, **arguments: Any) -> Any:
    run = task(**arguments)
    run.store.crash_after = phase
    with pytest.raises(Crash):
        run.attempt()
    run.store.crash_after = None
    return run.attempt()


def through_reattach_in_worker(**arguments: Any) -> Any:
    return _after_crash("submitted", **arguments)


def through_reattach_in_triggerer(**arguments: Any) -> Any:
    return _after_crash("submitted", deferrable=True, **arguments)


def through_collecting_again(**arguments: Any) -> Any:
    return _after_crash("collected", **arguments)


def through_sync_collected_again(**arguments: Any) -> Any:
    return _after_crash("collected", mode="sync", **arguments)


Path = Callable[..., Any]
ASYNC_PATHS = [
    through_worker,
    through_triggerer,
    through_reattach_in_worker,
    through_reattach_in_triggerer,
    through_collecting_again,
]
PATHS = [*ASYNC_PATHS, through_sync, through_sync_collected_again]
SUBMITTING_PATHS = [through_worker, through_triggerer, through_sync]


@pytest.mark.parametrize("path", PATHS)
def test_every_path_returns_the_same_and_pays_once(path: Path, emulator: Emulator) -> None:
    result = path()
    is_sync = path in (through_sync, through_sync_collected_again)
    assert list(result) == [
        "run_id", "grid_id", "status", "outputs", "filled_columns", "missed_columns", "credits",
        "started_at", "completed_at",
    ]  # fmt: skip
    assert result["grid_id"] == "grid_001"
    assert result["status"] == "completed"
    assert result["outputs"] == OUTPUTS
    assert (result["filled_columns"], result["missed_columns"]) == (2, 0)
    [run] = emulator.control.state()["runs"]
    # The API gives a synchronous run neither an id nor times, and a workspace key neither times nor credits.
    assert result["run_id"] == (None if is_sync else run["run_id"])
    spent = run["credits_consumed"]
    told = {"consumed": spent, "remaining": 65_800 - spent} if emulator.contract == V1_1_0 else None
    assert result["credits"] == told
    for moment in ("started_at", "completed_at"):
        assert (result[moment] is None) == (is_sync or told is None)
        assert result[moment] is None or result[moment].endswith("+00:00")
    assert emulator.control.state()["runs_paid"] == 1
    assert len(posted_bodies(emulator)) == 1


@pytest.mark.parametrize("deferrable", [False, True])
def test_without_waiting_the_id_and_status_come_at_once(deferrable: bool, emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    run = task(wait_for_completion=False, deferrable=deferrable)
    result = run.attempt()
    [submitted] = emulator.control.state()["runs"]
    status = "queued" if emulator.contract == V1_1_0 else "running"
    assert result == {"run_id": submitted["run_id"], "grid_id": "grid_001", "status": status}
    assert run.triggers == []
    again = run.attempt()
    assert again["run_id"] == result["run_id"]
    assert len(posted_bodies(emulator)) == 1


@pytest.mark.parametrize("path", SUBMITTING_PATHS)
def test_a_failed_run_is_the_same_error_on_every_path(path: Path, emulator: Emulator) -> None:
    emulator.control.add_fault("run_fails", message="the agent gave up")
    with pytest.raises(api.RunFailedError, match="the agent gave up") as caught:
        path()
    assert isinstance(caught.value, AirflowException)
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize("path", [through_worker, through_triggerer])
def test_a_run_that_does_not_end_is_timed_out_not_failed(path: Path, emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    with pytest.raises(api.RunTimedOutError, match="may go on, and is paid for") as caught:
        path(timeout=0.3)
    assert isinstance(caught.value, AirflowException)
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize("path", [through_worker, through_triggerer])
def test_polls_that_do_not_get_through_are_repeated(path: Path, emulator: Emulator) -> None:
    for kind in ("empty", "half_json", "array", "lost_request"):
        emulator.control.add_fault(kind, on="get_run", times=1)
    emulator.control.add_fault("status", on="get_run", status=502, body="<html>Bad Gateway</html>", times=1)
    assert path()["outputs"] == OUTPUTS
    assert len(posted_bodies(emulator)) == 1


@pytest.mark.parametrize("path", SUBMITTING_PATHS)
@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        pytest.param({}, set(OUTPUTS), id="by name"),
        pytest.param({"key_outputs_by": "id", "output_columns": [FULL_NAME]}, {FULL_NAME}, id="by id"),
        pytest.param(
            {"grid_id": "grid_002", "inputs": {"Domain": "acme.com"}, "output_columns": ["Size", *CONTACTS]},
            {"Size", *CONTACTS},
            id="same names by id",
        ),
    ],
)
def test_outputs_are_keyed_as_asked(
    path: Path, arguments: dict[str, Any], keys: set[str], emulator: Emulator
) -> None:
    outputs = path(**arguments)["outputs"]
    assert keys <= set(outputs)
    assert "Contact" not in outputs


@pytest.mark.parametrize("contract", [V1_1_0])
def test_names_go_onto_the_wire_as_ids(emulator: Emulator) -> None:
    through_worker(inputs={**JANE, "Employees": None}, webhook_url="https://hooks.example.com/b?x=1")
    assert posted_bodies(emulator) == [
        {
            "mode": "async",
            "inputs": {FULL_NAME: "Jane Doe", "7c2b0f4a-1d3e-4a9c-b567-de8f90ab1234": "Acme Corp"},
            "output_columns": [
                "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
                "b2c3d4e5-f6a7-8901-bcde-f12345678901",
            ],
            "webhook_url": "https://hooks.example.com/b?x=1",
        }
    ]


@pytest.mark.parametrize("contract", [V1_1_0])
def test_without_validation_bitscale_itself_judges(emulator: Emulator) -> None:
    with pytest.raises(api.InvalidRequestError, match="has no column no-such-column"):
        through_worker(validate_inputs=False, inputs={**JANE, "no-such-column": "x"})
    assert len(posted_bodies(emulator)) == 1
    by_id = {"validate_inputs": False, "key_outputs_by": "id", "output_columns": None}
    through_worker(inputs={FULL_NAME: "Jane Doe"}, **by_id)
    assert [wire["path"] for wire in emulator.control.requests()].count("/api/v1/grids/grid_001") == 2


@pytest.mark.parametrize(
    ("credits", "arguments"),
    [
        pytest.param(50, {"min_credits": 50}, id="just enough"),
        pytest.param(50, {"min_credits": None}, id="no minimum"),
        pytest.param(50, {"min_credits": 0}, id="none"),
    ],
)
def test_enough_credits_let_a_run_go(credits: int, arguments: dict[str, Any], emulator: Emulator) -> None:
    emulator.control.set_credits(credits)
    assert through_worker(**arguments)["status"] == "completed"


def test_too_few_credits_stop_a_run_before_the_post(emulator: Emulator) -> None:
    emulator.control.set_credits(49)
    run = task(min_credits=50)
    with pytest.raises(
        api.InsufficientCreditsError, match="49 credits are left, min_credits is 50"
    ) as caught:
        run.attempt()
    assert isinstance(caught.value, AirflowFailException)
    assert posted_bodies(emulator) == []
    emulator.control.set_credits(50)
    assert run.attempt()["status"] == "completed"


def test_credits_spent_by_the_run_itself_do_not_stop_its_retry(emulator: Emulator) -> None:
    run = task(min_credits=65_800)
    run.store.crash_after = "submitted"
    with pytest.raises(Crash):
        run.attempt()
    run.store.crash_after = None
    assert run.attempt()["status"] == "completed"


def test_a_global_default_defers_but_not_a_sync_run(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    run = task(deferrable=None)
    run.attempt()
    assert len(run.triggers) == 1
    sync = task(deferrable=None, mode="sync")
    sync.attempt()
    assert sync.triggers == []


def test_a_killed_task_says_what_goes_on(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    killed = operator(wait_for_completion=False)
    killed.on_kill()
    assert "cannot cancel" not in "".join(capsys.readouterr()), "nothing was submitted yet"
    run_id = TaskRun(lambda: killed).attempt()["run_id"]
    killed.on_kill()
    said = "".join(capsys.readouterr())
    assert f"cannot cancel a run: {run_id} goes on and is paid for" in said


@pytest.mark.parametrize(
    ("grid_id", "quoted"), [("grid_001", "grid_001"), ("a/../b?c#d", "a%2F..%2Fb%3Fc%23d")]
)
def test_the_extra_link_leads_to_the_grid(grid_id: str, quoted: str) -> None:
    link = operator().operator_extra_links[1]
    assert link.name == "BitScale grid"
    target = link.get_link(operator(grid_id=grid_id), ti_key=None)  # type: ignore[arg-type]
    assert target == f"https://app.bitscale.ai/grid/{quoted}"


def test_a_connection_without_a_workspace_is_named_before_the_post(
    emulator: Emulator, connect: Connect
) -> None:
    connect(host=emulator.base_url, password=emulator.api_key)
    for arguments in ({}, {"validate_inputs": False, "key_outputs_by": "id"}, {"min_credits": 1}):
        run = task(**arguments)
        with pytest.raises(api.ConfigurationError, match="workspace_id is not set"):
            run.attempt()
        assert run.store.values == {}
    assert posted_bodies(emulator) == []
