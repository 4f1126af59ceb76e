"""A key may be rotated while tasks wait: they read the connection again, once, before they give up."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from airflow.sdk import BaseHook
from pytest_mock import MockerFixture

from airflow_provider_bitscale import exceptions
from airflow_provider_bitscale.api import BitScaleError
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.contracts.workspace_key import key_after
from airflow_provider_bitscale.emulator.seed import GRID_ID
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.runs.outcome import COMPLETED
from airflow_provider_bitscale.runs.polling import RunDecision
from airflow_provider_bitscale.sensors.credits import CreditsSensor
from airflow_provider_bitscale.sensors.run_completed import RunCompletedSensor
from airflow_provider_bitscale.triggers.run_completed import RunCompletedTrigger
from airflow_provider_bitscale.triggers.shared_hook import shared_hook
from tests.support.clients import RECIPE, jane, polls, posts
from tests.support.hooks import KINDS, connect, hook_caller
from tests.support.task_runs import TaskRun, fire


@pytest.fixture
def contract() -> str:
    """The one that has keys to rotate."""
    return "workspace-key"


def task(**arguments: Any) -> TaskRun:
    inputs = {"Full Name": "Jane Doe"}
    return TaskRun(
        lambda: RunGridOperator(
            task_id="enrich", grid_id=GRID_ID, inputs=inputs, poll_interval=0.1, **arguments
        )
    )


def rotate(monkeypatch: pytest.MonkeyPatch, times: int = 1, *, tell: bool = True) -> None:
    """Rotate the key, for the first or a further time, and store the new one in the connection, or not.

    It is stored first, so that no poll comes between.
    """
    hook = BitScaleHook()
    assert hook.config.api_key == key_after(times - 1)
    if tell:
        rotate_in_connection(monkeypatch, times)
    assert hook.rotate_api_key() == key_after(times)


def rotate_in_connection(monkeypatch: pytest.MonkeyPatch, times: int = 1) -> None:
    stored = json.loads(os.environ["AIRFLOW_CONN_BITSCALE_DEFAULT"])
    monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", json.dumps({**stored, "password": key_after(times)}))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with Emulator(contract="workspace-key", run_seconds=(1.5, 1.5)) as emulator:
        connect(monkeypatch, emulator)
        yield emulator


def after(seconds: float, *actions: Callable[[], None]) -> threading.Thread:
    def act() -> None:
        time.sleep(seconds)
        for action in actions:
            action()

    thread = threading.Thread(target=act)
    thread.start()
    return thread


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_key_rotated_while_a_task_waits_is_read_again(
    slow: Emulator, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    rotation = after(0.7, lambda: rotate(monkeypatch))
    assert task(deferrable=deferrable).attempt()["outputs"]["Enriched Email"]
    rotation.join()
    statuses = [poll["status"] for poll in polls(slow)]
    assert statuses.count(401) == 1
    assert len(posts(slow)) == 2, "the run and the rotation"


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.usefixtures("impatient")
def test_a_key_that_was_not_stored_is_given_up_after_one_more_read(
    slow: Emulator, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    rotation = after(0.7, lambda: rotate(monkeypatch, tell=False))
    run = task(deferrable=deferrable)
    with pytest.raises(exceptions.AuthenticationError):
        run.attempt()
    rotation.join()
    assert [poll["status"] for poll in polls(slow)].count(401) == 1
    assert run.store.get("bitscale_run")["phase"] == "submitted", "and a Clear collects it"


def test_sensors_that_poke_read_it_again_too(slow: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = BitScaleHook().run_grid(GRID_ID, jane(slow)).run_id
    waiting: dict[str, Any] = {"poke_interval": 0.1, "timeout": 10, "deferrable": False}
    rotation = after(0.3, lambda: rotate(monkeypatch))
    sensor = RunCompletedSensor(task_id="run", grid_id=GRID_ID, run_id=run_id or "", **waiting)
    assert TaskRun(lambda: sensor).attempt()["outputs"]
    rotation.join()
    credits = CreditsSensor(task_id="credits", min_credits=66_000, **waiting)
    changes = after(0.3, partial(rotate, monkeypatch, 2), partial(slow.control.set_credits, 70_000))
    assert TaskRun(lambda: credits).attempt()["remaining"] == 70_000
    changes.join()


def test_a_hundred_triggers_read_the_connection_once_between_them(
    slow: Emulator, monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture
) -> None:
    read = mocker.spy(BaseHook, "aget_connection")

    async def scenario() -> list[str]:
        run = await BitScaleHook().arun_grid(GRID_ID, jane(slow))
        hook = shared_hook("bitscale_default")
        decision = RunDecision(time.time() + 20, 0.5, str(run.run_id))
        waits = [asyncio.ensure_future(hook.awatch_run(GRID_ID, decision)) for _ in range(100)]
        await asyncio.sleep(0.5)
        before = read.await_count
        await asyncio.to_thread(rotate, monkeypatch)
        outcomes = [outcome.kind for outcome in await asyncio.gather(*waits)]
        assert read.await_count - before == 1
        return outcomes

    assert asyncio.run(scenario()) == [COMPLETED] * 100


def test_polls_that_stood_in_line_while_the_key_was_stored_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """At five requests a second a poll waits for its turn: what was read before it left is old news."""
    waits = 20

    async def scenario() -> list[str]:
        hook = shared_hook("bitscale_default")
        run = await hook.arun_grid(GRID_ID, jane(emulator))
        decision = RunDecision(time.time() + 60, 0.1, str(run.run_id))
        polling = [asyncio.ensure_future(hook.awatch_run(GRID_ID, decision)) for _ in range(waits)]
        await asyncio.sleep(1)
        await asyncio.to_thread(rotate, monkeypatch, tell=False)
        await asyncio.sleep(0.7)
        refused = [poll for poll in polls(emulator) if poll["status"] == 401]
        rotate_in_connection(monkeypatch)
        outcomes = [outcome.kind for outcome in await asyncio.gather(*polling)]
        assert 0 < len(refused) < 8
        assert outcomes.count(COMPLETED) >= waits - len(refused) - 1
        return outcomes

    with Emulator(contract="workspace-key", run_seconds=(3.0, 3.0)) as emulator:
        connect(monkeypatch, emulator, requests_per_minute=None)
        asyncio.run(scenario())


def test_two_polls_of_one_hook_both_find_the_new_key(slow: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = BitScaleHook()
    run_id = str(hook.run_grid(GRID_ID, jane(slow)).run_id)
    pollers = [hook.run_poller(GRID_ID, run_id) for _ in range(2)]
    rotate(monkeypatch)
    assert [poll().run_id for poll in pollers] == [run_id] * 2


def test_a_deferred_run_outlives_two_rotations(slow: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = str(BitScaleHook().run_grid(GRID_ID, jane(slow)).run_id)
    trigger = RunCompletedTrigger(
        bitscale_conn_id="bitscale_default",
        grid_id=GRID_ID,
        run_id=run_id,
        poll_interval=0.1,
        deadline=time.time() + 20,
    )
    rotations = [after(0.5 * times, partial(rotate, monkeypatch, times)) for times in (1, 2)]
    assert fire(trigger)["outcome"] == COMPLETED
    for rotation in rotations:
        rotation.join()
    assert [poll["status"] for poll in polls(slow)].count(401) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["lost_answer", "server_error_after_work", "half_json"])
def test_a_rotation_whose_answer_is_lost_says_where_the_key_is(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, kind: str, fault: str
) -> None:
    connect(monkeypatch, emulator)
    emulator.control.add_fault(fault, on="rotate_api_key")
    with pytest.raises(exceptions.AmbiguousSubmitError, match="take the new one from"):
        hook_caller(kind)("rotate_api_key")
    assert len(posts(emulator)) == 1


ECHOES: dict[str, dict[str, Any]] = {
    "a failure that holds the new key": {"status": 500, "body": '{"api_key": "sk-live-the-new-one"}'},
    "a refusal that names it": {"status": 409, "message": "sk-live-the-new-one was made a moment ago"},
    "a success that is none": {"status": 200, "body": '["sk-live-the-new-one"]'},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ECHOES.values(), ids=ECHOES.keys())
def test_a_key_that_came_in_an_odd_answer_stands_in_no_error(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, kind: str, fault: dict[str, Any]
) -> None:
    connect(monkeypatch, emulator)
    emulator.control.add_fault("status", on="rotate_api_key", **fault)
    with pytest.raises(BitScaleError) as caught:
        hook_caller(kind)("rotate_api_key")
    assert "the-new-one" not in repr(caught.value) + str(caught.value) + repr(caught.value.fields())


@pytest.mark.parametrize("kind", KINDS)
def test_a_rotated_key_is_masked_and_its_owner_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    from airflow.sdk._shared.secrets_masker import redact

    # A key of its own: what another test has masked stays masked in this process.
    with Emulator(contract="workspace-key", seed=KINDS.index(kind) + 901) as emulator:
        connect(monkeypatch, emulator)
        key = hook_caller(kind)("rotate_api_key")
        said = "".join(capsys.readouterr())
        assert "Store the new one in the Airflow connection 'bitscale_default'" in said
        assert key not in said
        assert redact(f"x {key} y") == "x *** y"
        with pytest.raises(exceptions.AuthenticationError):
            hook_caller(kind)("get_workspace")


@pytest.mark.parametrize("kind", KINDS)
def test_every_call_reads_it_again_and_a_paid_one_is_sent_once_more(
    slow: Emulator, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    call = hook_caller(kind)
    assert call("get_grid", GRID_ID).id == GRID_ID
    rotate(monkeypatch)
    assert call("run_grid", GRID_ID, jane(slow), recipe=RECIPE).run_id
    rotate(monkeypatch, 2)
    assert call("get_grid", GRID_ID).id == GRID_ID
    runs = [post["status"] for post in posts(slow) if post["path"].endswith("/run")]
    assert runs[0] == 401
    assert [status for status in runs if status < 300] == runs[1:]
    assert len(runs) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_submission_that_is_refused_is_not_sent_to_another_workspace(
    slow: Emulator, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    call = hook_caller(kind)
    assert call("get_grid", GRID_ID).id == GRID_ID
    rotate(monkeypatch)
    connection = json.loads(os.environ["AIRFLOW_CONN_BITSCALE_DEFAULT"])
    connection["host"], connection["port"] = "http://127.0.0.1:9/api/v1", None
    monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", json.dumps(connection))
    with pytest.raises(exceptions.ConfigurationError, match="another workspace"):
        call("run_grid", GRID_ID, jane(slow), recipe=RECIPE)
    assert not [post for post in posts(slow) if post["path"].endswith("/run") and post["status"] < 300]
