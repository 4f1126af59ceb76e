"""The traps of the API as it is served today: each costs a user credits or patience if it is not known."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_bitscale import exceptions
from airflow_provider_bitscale.api import AsyncClient, Client, RateLimitedError, RunStatus
from airflow_provider_bitscale.api.contracts import contract_for
from airflow_provider_bitscale.api.limit.pacer import Pacer
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import ENRICHED_EMAIL, GRID_ID
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.sensors.run_completed import RunCompletedSensor
from tests.support.clients import Opener, config_for, jane, posts
from tests.support.hooks import KINDS, connect, hook_caller
from tests.support.task_runs import Crash, TaskRun

JANE = {"Full Name": "Jane Doe", "Company": "Acme Corp"}


@pytest.fixture
def contract() -> str:
    """This file is about one of the two."""
    return "workspace-key"


def task(**arguments: Any) -> TaskRun:
    defaults: dict[str, Any] = {"grid_id": GRID_ID, "inputs": JANE, "poll_interval": 0.1, "deferrable": False}
    return TaskRun(lambda: RunGridOperator(task_id="enrich", **{**defaults, **arguments}))


# A sync run that BitScale loses patience with.


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with Emulator(contract="workspace-key", run_seconds=(1.0, 1.0), sync_cut_off=0.2) as emulator:
        connect(monkeypatch, emulator)
        yield emulator


@pytest.mark.parametrize(
    ("deferrable", "deferrable_by_default"), [(None, "True"), (None, "False"), (True, "False")]
)
def test_a_sync_run_that_answers_as_running_is_waited_for_without_a_second_post(
    impatient: Emulator, monkeypatch: pytest.MonkeyPatch, deferrable: bool | None, deferrable_by_default: str
) -> None:
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", deferrable_by_default)
    run = task(mode="sync", deferrable=deferrable)
    result = run.attempt()
    assert (len(run.triggers) == 1) == (deferrable or deferrable_by_default == "True")
    [submitted] = impatient.control.state()["runs"]
    assert result["run_id"] == submitted["run_id"]
    assert result["outputs"]["Enriched Email"] == "jane.doe@acmecorp.com"
    assert run.store.get("bitscale_run")["phase"] == "collected"
    assert (len(posts(impatient)), impatient.control.state()["runs_paid"]) == (1, 1)


@pytest.mark.parametrize("phase", ["submitted", "collected"])
def test_a_worker_killed_while_it_waits_for_such_a_run_pays_once(impatient: Emulator, phase: str) -> None:
    run = task(mode="sync")
    run.store.crash_after = phase
    with pytest.raises(Crash):
        run.attempt()
    run.store.crash_after = None
    assert run.attempt()["outputs"]["Enriched Email"]
    assert len(posts(impatient)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_hook_waits_for_such_a_run_too(impatient: Emulator, kind: str) -> None:
    run = hook_caller(kind)("run_grid", GRID_ID, jane(impatient), mode="sync", timeout=30)
    assert (run.status, bool(run.outputs[ENRICHED_EMAIL])) == (RunStatus.COMPLETED, True)
    assert len(posts(impatient)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_but_not_for_ever(impatient: Emulator, kind: str) -> None:
    impatient.control.add_fault("run_never_ends")
    with pytest.raises(exceptions.RunTimedOutError, match="may go on"):
        hook_caller(kind)("run_grid", GRID_ID, jane(impatient), mode="sync", timeout=0.5)
    assert len(posts(impatient)) == 1


# Inputs that would be billed as a blank row.


BLANK: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt": ({"Ful Name": "Jane"}, "did you mean 'full_name'"),
    "an output": ({"Enriched Email": "x"}, "takes no input 'Enriched Email'"),
    "an input of no column": ({"Employees": 12}, "takes no input 'Employees'"),
    "nothing": ({"Full Name": "", "Company": None}, "a blank row would be paid for"),
}


@pytest.mark.parametrize(("inputs", "problem"), BLANK.values(), ids=BLANK.keys())
@pytest.mark.parametrize("validate", [True, False])
def test_a_row_that_would_be_blank_is_refused_before_the_post(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, Any], problem: str, validate: bool
) -> None:
    connect(monkeypatch, emulator)
    with pytest.raises(exceptions.InvalidRequestError) as caught:
        task(inputs=inputs, validate_inputs=validate).attempt()
    assert problem in str(caught.value)
    assert (posts(emulator), emulator.control.state()["runs_paid"]) == ([], 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_hook_refuses_what_the_recipe_does_not_list(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    connect(monkeypatch, emulator)
    with pytest.raises(exceptions.InvalidRequestError, match="lists 'full_name', 'company'"):
        hook_caller(kind)("run_grid", GRID_ID, {"Full Name": "Jane Doe"})
    assert posts(emulator) == []


KEYS = [
    {"Full Name": "Jane Doe", "Company": "Acme Corp"},
    {"full_name": "Jane Doe", "company": "Acme Corp"},
    {"3f7a1c2e-9b4d-4e8f-a012-bc3d56ef7890": "Jane Doe", "Company": "Acme Corp"},
]


@pytest.mark.parametrize("inputs", KEYS, ids=["names", "labels", "an id"])
def test_names_ids_and_labels_go_onto_the_wire_as_labels(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, Any]
) -> None:
    connect(monkeypatch, emulator)
    found = task(inputs=inputs, output_columns=["LinkedIn URL"]).attempt()
    assert list(found["outputs"]) == ["LinkedIn URL"]
    [post] = posts(emulator)
    assert json.loads(post["body"])["inputs"] == {"full_name": "Jane Doe", "company": "Acme Corp"}


def test_a_name_that_two_inputs_have_is_refused_and_its_labels_are_not(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, emulator)
    with pytest.raises(exceptions.InvalidRequestError, match="takes no input 'Contact'"):
        task(grid_id="grid_002", inputs={"Domain": "acme.com", "Contact": "Jane"}).attempt()
    assert task(grid_id="grid_002", inputs={"Domain": "acme.com"}).attempt()["outputs"]["Size"]


WRONG_WITH_THE_GRID: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "FEATURE_DISABLED": (
        {"status": 403, "code": "FEATURE_DISABLED"},
        exceptions.FeatureDisabledError,
        "change the plan",
    ),
    "MISSING_SOURCE": (
        {"status": 400, "code": "MISSING_SOURCE"},
        exceptions.MissingSourceError,
        "add a data source",
    ),
}


@pytest.mark.parametrize("on", ["get_run_recipe", "run_grid"])
@pytest.mark.parametrize(
    ("fault", "kind", "advice"), WRONG_WITH_THE_GRID.values(), ids=WRONG_WITH_THE_GRID.keys()
)
def test_what_must_be_changed_in_bitscale_stops_the_task_for_good(
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
    kind: type[Exception],
    advice: str,
    on: str,
) -> None:
    connect(monkeypatch, emulator)
    emulator.control.add_fault("status", on=on, **fault)
    run = task()
    with pytest.raises(kind, match=advice):
        run.attempt()
    assert run.store.values == {}
    assert len(posts(emulator)) == (1 if on == "run_grid" else 0)


def test_a_grid_without_an_api_source_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with Emulator(contract="workspace-key", extra_grids=1) as emulator:
        connect(monkeypatch, emulator)
        grid = next(grid for grid in BitScaleHook().list_grids("extra"))
        with pytest.raises(exceptions.MissingSourceError, match="BitScale API"):
            task(grid_id=grid.id).attempt()


# Lists in pages, answers that are misses, five requests a second.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("further", [0, 97, 98, 99, 250])
def test_a_list_of_any_length_is_read_whole(monkeypatch: pytest.MonkeyPatch, kind: str, further: int) -> None:
    with Emulator(contract="workspace-key", extra_grids=further) as emulator:
        connect(monkeypatch, emulator)
        found = hook_caller(kind)("list_grids")
        assert len({grid.id for grid in found}) == len(found) == further + 2


@pytest.mark.parametrize("mode", ["async", "sync"])
@pytest.mark.parametrize("miss_values", [(), ("No email found",)])
def test_a_miss_is_counted_and_becomes_none_where_it_is_listed(
    monkeypatch: pytest.MonkeyPatch, mode: str, miss_values: tuple[str, ...]
) -> None:
    with Emulator(contract="workspace-key", run_seconds=(0.05, 0.05), miss_rate=1.0) as emulator:
        connect(monkeypatch, emulator)
        result = task(
            mode=mode, miss_values=miss_values, output_columns=["Enriched Email", "Label"]
        ).attempt()
        assert result["outputs"] == {
            "Enriched Email": None if miss_values else "No email found",
            "Label": "Jane Doe | Acme Corp",
        }
        assert (result["filled_columns"], result["missed_columns"]) == ((1, 1) if miss_values else (2, 0))
        if mode == "async":
            arguments = {"grid_id": GRID_ID, "run_id": result["run_id"], "poke_interval": 0.1, "timeout": 5}
            sensor = TaskRun(
                lambda: RunCompletedSensor(
                    task_id="wait", miss_values=miss_values, deferrable=False, **arguments
                )
            )
            assert sensor.attempt() == result


def seconds_of(emulator: Emulator) -> list[float]:
    return [request["at"] for request in emulator.control.requests()]


@pytest.mark.parametrize("hints", ["nothing", "retry-after", "headers"])
def test_five_requests_a_second_are_kept_whatever_the_server_tells(hints: str) -> None:
    async def scenario(emulator: Emulator) -> None:
        async with AsyncClient(config_for(emulator, requests_per_minute=None)) as client:
            await asyncio.gather(*(client.get_workspace() for _ in range(20)))

    with Emulator(contract="workspace-key", rate_limit=(5, 1.0), rate_limit_hints=hints) as emulator:
        asyncio.run(scenario(emulator))
        statuses = [request["status"] for request in emulator.control.requests()]
        at = seconds_of(emulator)
    assert statuses.count(200) == 20
    assert statuses.count(429) == 0
    assert at[-1] - at[0] > 3.0
    if hints != "headers":
        assert all(sixth - first > 0.95 for first, sixth in zip(at, at[5:], strict=False))


@pytest.mark.parametrize("hints", ["nothing", "retry-after", "headers"])
def test_two_processes_with_one_key_get_through_without_a_storm(hints: str) -> None:
    """Two pacers, as in two processes: neither knows of the other but by what the server answers."""
    jobs = 15
    seen: list[str] = []

    def process(config: Any) -> None:
        with Client(config) as client:
            pacer = Pacer()
            pacer.limit_to(None, client.contract.assumed_per_second)
            client._credentials.access = replace(client._credentials.access, pacer=pacer)
            seen.extend(client.get_workspace().id for _ in range(jobs))

    with Emulator(contract="workspace-key", rate_limit=(5, 1.0), rate_limit_hints=hints) as emulator:
        config = config_for(emulator, requests_per_minute=None)
        threads = [threading.Thread(target=process, args=(config,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        refused = [request for request in emulator.control.requests() if request["status"] == 429]
    assert len(seen) == 2 * jobs
    # Who is told of the limit learns of the other; who is not meets him by a few 429s, and gives way.
    assert len(refused) <= 5


def test_an_impatient_poll_is_told_to_come_back(open_client: Opener) -> None:
    with Emulator(contract="workspace-key") as emulator:
        emulator.control.add_fault("storm", retry_after=60, times=1)
        client = open_client(config_for(emulator))
        call = contract_for(config_for(emulator)).get_workspace()
        for _ in range(2):
            with pytest.raises(RateLimitedError):
                client("send", call, patient=False)
        assert len(emulator.control.requests()) == 1


def test_a_try_that_sends_nothing_leaves_the_record_of_a_paid_run_alone(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, emulator)
    arguments: dict[str, Any] = {"inputs": JANE}
    run = TaskRun(
        lambda: RunGridOperator(
            task_id="enrich", grid_id=GRID_ID, deferrable=False, poll_interval=0.1, **arguments
        )
    )
    run.store.crash_after = "submitted"
    with pytest.raises(Crash):
        run.attempt()
    run.store.crash_after = None
    arguments |= {"inputs": {"Full Name": "Somebody Else"}, "webhook_url": "https://hooks.example.com/b"}
    with pytest.raises(exceptions.UnsupportedError):
        run.attempt()
    arguments |= {"inputs": JANE, "webhook_url": None}
    assert run.attempt()["outputs"]
    assert len(posts(emulator)) == 1


def test_an_input_that_a_row_leaves_out_is_mentioned(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connect(monkeypatch, emulator)
    assert task(inputs={"Full Name": "Jane Doe"}).attempt()["outputs"]
    assert "no value for company" in caplog.text


@pytest.mark.parametrize(
    "inputs", [{}, {"Company": []}, {"Company": "\u200b"}, {"Company": None}, {"Company": "#N/A"}], ids=repr
)
def test_a_blank_row_is_refused_before_it_is_paid_for(
    inputs: dict[str, Any], emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, emulator)
    with pytest.raises(exceptions.InvalidRequestError, match="a blank row would be paid for"):
        task(inputs=inputs).attempt()
    assert posts(emulator) == []


def test_a_null_text_is_left_out_and_told(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connect(monkeypatch, emulator)
    task(inputs={"Full Name": "Jane Doe", "Company": r"\N"}).attempt()
    assert json.loads(posts(emulator)[0]["body"])["inputs"] == {"full_name": "Jane Doe"}
    assert r"Is it meant that the input 'Company' is '\\N'?" in caplog.text
