"""Waiting for a delivery: rare polls until it comes, and an ambiguous submission that it resolves."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from airflow.sdk.bases.xcom import BaseXCom
from pytest_mock import MockerFixture

from airflow_provider_bitscale import api
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.runs import polling
from airflow_provider_bitscale.sensors.run_completed import RunCompletedSensor
from airflow_provider_bitscale.triggers import awaited_delivery
from airflow_provider_bitscale.triggers.awaited_delivery import AwaitedDelivery
from airflow_provider_bitscale.webhooks.callback_token import TOKEN_PARAMETER, DeliveryAddress, read_token
from tests.airflow.test_run_grid_money import Task, paid
from tests.support.clients import polls, posted_bodies
from tests.support.task_runs import TaskRun

URL = "https://airflow.example.com/bitscale/webhooks/bitscale_default?team=data"
CONTRACTS = ("v1.1.0",)


class Airflow:
    """What a verified delivery leaves: an XCom for the trigger, a hint in the task's state store."""

    def __init__(self) -> None:
        self.xcoms: dict[str, str] = {}

    async def aget_one(self, *, key: str, dag_id: str, task_id: str, run_id: str, map_index: int) -> Any:
        assert (dag_id, task_id, run_id, map_index) == ("dag", "enrich", "manual", -1)
        return self.xcoms.get(key)

    def deliver(self, emulator: Emulator, task: Task, *, xcom: bool = True, status: str = "completed") -> str:
        """Deliver a run that has ended to the task that submitted it; its id."""
        run = emulator.control.state()["runs"][-1]
        address = addressed(emulator)
        # It may have ended by itself.
        with suppress(ValueError):
            emulator.control.finish_run(run["run_id"])
        outputs = {"a1b2c3d4-e5f6-7890-abcd-ef1234567890": "jane@acme.com"}
        if xcom:
            payload = {"run_id": run["run_id"], "grid_id": "grid_001", "status": status, "outputs": outputs}
            self.xcoms[address.key] = json.dumps(payload)
        task.store.values[address.key] = f'{{"run_id": "{run["run_id"]}"}}'
        return str(run["run_id"])


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    made = Airflow()
    monkeypatch.setattr(BaseXCom, "aget_one", made.aget_one)
    return made


def addressed(emulator: Emulator, number: int = -1) -> DeliveryAddress:
    """Whom the token in a submission names."""
    query = parse_qs(urlsplit(posted_bodies(emulator)[number]["webhook_url"]).query)
    assert query["team"] == ["data"]
    recipient = read_token(query[TOKEN_PARAMETER][0], emulator.webhook_secret, "bitscale_default")
    assert recipient is not None
    return recipient.address


def soon(emulator: Emulator, what: Callable[[], Any]) -> threading.Thread:
    """Do this once a run was submitted and its task waits."""

    def act() -> None:
        while not posted_bodies(emulator):
            time.sleep(0.02)
        time.sleep(0.3)
        what()

    thread = threading.Thread(target=act)
    thread.start()
    return thread


@pytest.mark.parametrize(("trust", "expected"), [(False, 1), (True, 0)])
def test_a_delivery_ends_the_waiting(
    emulator: Emulator, airflow: Airflow, trust: bool, expected: int
) -> None:
    emulator.control.add_fault("run_never_ends")
    task = Task(emulator, deferrable=True, webhook_url=URL, trust_webhook=trust)
    thread = soon(emulator, lambda: airflow.deliver(emulator, task))
    result = task.attempt()
    thread.join()
    assert result["status"] == "completed"
    assert ("jane@acme.com" in result["outputs"].values()) is trust
    assert len(polls(emulator)) == expected


@pytest.mark.parametrize("trust", [False, True])
def test_a_delivery_that_never_comes_costs_latency_alone(
    emulator: Emulator, airflow: Airflow, monkeypatch: pytest.MonkeyPatch, trust: bool
) -> None:
    monkeypatch.setattr(polling, "SELDOM_SECONDS", 1.5)
    task = Task(emulator, deferrable=True, webhook_url=URL, trust_webhook=trust)
    assert task.attempt()["status"] == "completed"
    assert len(polls(emulator)) == 1, "the poll that was due anyway"


def test_a_delivery_of_another_run_is_not_trusted(
    emulator: Emulator, airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "SELDOM_SECONDS", 1.5)
    task = Task(emulator, deferrable=True, webhook_url=URL, trust_webhook=True)

    def mislead() -> None:
        other = {"run_id": "run_x", "grid_id": "g", "status": "failed"}
        airflow.xcoms[addressed(emulator).key] = json.dumps(other)

    thread = soon(emulator, mislead)
    assert task.attempt()["status"] == "completed"
    thread.join()


@pytest.mark.parametrize(("took", "pause"), [(0.0, 1.0), (0.02, 1.0), (0.5, 2.0), (2.0, 8.0), (31.0, 10.0)])
def test_a_triggerer_that_is_slow_to_answer_is_asked_less_often(took: float, pause: float) -> None:
    assert awaited_delivery.pause_between_reads(took) == pause


def test_how_long_the_triggerer_took_to_answer_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    took: list[float] = []

    async def slow(**place: Any) -> None:
        await asyncio.sleep(0.2)

    def noted(seconds: float) -> float:
        took.append(seconds)
        return 0.0

    async def listen() -> None:
        address = dict.fromkeys(("key", "dag_id", "run_id", "task_id", "map_index"), "x")
        async with AwaitedDelivery(address).listening():
            while len(took) < 2:
                await asyncio.sleep(0.01)

    monkeypatch.setattr(BaseXCom, "aget_one", slow)
    monkeypatch.setattr(awaited_delivery, "pause_between_reads", noted)
    asyncio.run(asyncio.wait_for(listen(), 20))
    assert min(took) >= 0.19


def test_airflow_that_cannot_be_asked_ends_no_waiting(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture
) -> None:
    mocker.patch.object(BaseXCom, "aget_one", side_effect=ConnectionError("no supervisor"))
    monkeypatch.setattr(polling, "SELDOM_SECONDS", 1.5)
    assert Task(emulator, deferrable=True, webhook_url=URL).attempt()["status"] == "completed"


WAITS: list[Any] = [pytest.param(False, id="worker"), pytest.param(True, id="triggerer")]


@pytest.mark.parametrize("deferrable", WAITS)
def test_a_lost_answer_is_made_good_by_the_delivery(
    emulator: Emulator, airflow: Airflow, deferrable: bool
) -> None:
    emulator.control.add_fault("lost_answer", on="run_grid", times=1)
    task = Task(emulator, deferrable=deferrable, webhook_url=URL)
    thread = soon(emulator, lambda: airflow.deliver(emulator, task))
    result = task.attempt()
    thread.join()
    assert result["run_id"] == emulator.control.state()["runs"][0]["run_id"]
    assert result["status"] == "completed"
    assert paid(emulator) == 1
    assert task.record["phase"] == "collected"


@pytest.mark.parametrize("deferrable", WAITS)
def test_an_ambiguous_run_that_is_delivered_as_failed_is_not_submitted_again_by_the_same_try(
    emulator: Emulator, airflow: Airflow, deferrable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "SELDOM_SECONDS", 1.5)
    emulator.control.add_fault("run_fails", times=1)
    emulator.control.add_fault("lost_answer", on="run_grid", times=1)
    task = Task(emulator, deferrable=deferrable, webhook_url=URL)
    thread = soon(emulator, lambda: airflow.deliver(emulator, task, status="failed"))
    with pytest.raises(api.RunFailedError):
        task.attempt()
    thread.join()
    assert len(posted_bodies(emulator)) == 1
    assert task.attempt()["status"] == "completed", "a retry submits again, as after any failed run"


@pytest.mark.parametrize("deferrable", WAITS)
def test_what_is_not_waited_for_gives_its_receipt_after_a_lost_answer_too(
    emulator: Emulator, airflow: Airflow, deferrable: bool
) -> None:
    emulator.control.add_fault("lost_answer", on="run_grid", times=1)
    task = Task(emulator, deferrable=deferrable, webhook_url=URL, wait_for_completion=False)
    thread = soon(emulator, lambda: airflow.deliver(emulator, task))
    assert set(task.attempt()) == {"run_id", "grid_id", "status"}
    thread.join()
    assert task.pushed["delivery_address"]["key"] == addressed(emulator).key


@pytest.mark.parametrize("url", ["https://hooks.example.com/bitscale", f"{URL.partition('?')[0]}_2"])
def test_a_receiver_of_the_users_own_gets_no_token_and_nothing_is_awaited(
    emulator: Emulator, url: str
) -> None:
    task = Task(emulator, wait_for_completion=False, webhook_url=url)
    task.attempt()
    assert posted_bodies(emulator)[0]["webhook_url"] == url
    assert task.record["delivery_key"] is None


@pytest.mark.parametrize("address", ["{'key': 'k'}", {"key": "k"}, 7])
def test_a_sensor_refuses_what_no_task_has_pushed(emulator: Emulator, address: Any) -> None:
    emulator.control.add_fault("run_never_ends")
    receipt = Task(emulator, wait_for_completion=False).attempt()

    def make() -> RunCompletedSensor:
        return RunCompletedSensor(
            task_id="s",
            grid_id="grid_001",
            run_id=receipt["run_id"],
            delivery_address=address,
            deferrable=True,
        )

    with pytest.raises(api.InvalidRequestError, match="must be what the submitting task pushed"):
        TaskRun(make).attempt()


def test_a_sensor_of_another_connection_takes_no_delivery(emulator: Emulator, connect: Any) -> None:
    emulator.control.add_fault("run_never_ends")
    submit = Task(emulator, wait_for_completion=False, webhook_url=URL)
    receipt = submit.attempt()
    sensor = TaskRun(
        lambda: RunCompletedSensor(
            task_id="sense",
            grid_id="grid_001",
            run_id=receipt["run_id"],
            delivery_address={**submit.pushed["delivery_address"], "bitscale_conn_id": "others"},
            deferrable=True,
        )
    )
    with pytest.raises(api.InvalidRequestError, match="submitted with connection others"):
        sensor.attempt()


@pytest.mark.parametrize(("waits", "awaited"), [(True, False), (False, True)])
def test_only_what_a_sensor_waits_for_is_awaited_once_the_task_has_succeeded(
    emulator: Emulator, airflow: Airflow, waits: bool, awaited: bool
) -> None:
    task = Task(emulator, webhook_url=URL, wait_for_completion=waits, deferrable=False)
    task.attempt()
    assert task.record["phase"] == "collected"
    assert (task.record["delivery_key"] is not None) is awaited
    assert task.record["delivery_conn_id"] == "bitscale_default"


@pytest.mark.parametrize("deferrable", WAITS)
@pytest.mark.parametrize("choice", ["fail", "resubmit"])
def test_a_worker_killed_before_the_answer_leaves_nothing_ambiguous_once_it_is_delivered(
    emulator: Emulator, airflow: Airflow, deferrable: bool, choice: str
) -> None:
    task = Task(emulator, deferrable=deferrable, webhook_url=URL, on_ambiguous_submit=choice)
    task.crash(crash_before="submitted")
    # A new try begins without XComs: what came before it is in the task's state store.
    delivered = airflow.deliver(emulator, task, xcom=False)
    assert task.attempt()["run_id"] == delivered
    assert paid(emulator) == 1


@pytest.mark.parametrize("deferrable", WAITS)
def test_a_submission_that_never_arrived_is_ambiguous_at_its_deadline(
    emulator: Emulator, airflow: Airflow, deferrable: bool
) -> None:
    emulator.control.add_fault("lost_request", on="run_grid")
    task = Task(emulator, deferrable=deferrable, webhook_url=URL, timeout=2)
    began = time.monotonic()
    with pytest.raises(api.AmbiguousSubmitError):
        task.attempt()
    assert time.monotonic() - began < 6
    with pytest.raises(api.AmbiguousSubmitError):
        task.attempt()
    assert len(posted_bodies(emulator)) == 1, "it is not known, so it is not submitted again"


def test_whoever_would_rather_pay_twice_does_not_wait(emulator: Emulator, airflow: Airflow) -> None:
    emulator.control.add_fault("lost_answer", on="run_grid", times=1)
    task = Task(emulator, deferrable=False, webhook_url=URL, on_ambiguous_submit="resubmit")
    with pytest.raises(api.AmbiguousSubmitError):
        task.attempt()
    assert task.attempt()["status"] == "completed"
    keys = {addressed(emulator, number).key for number in range(2)}
    assert len(keys) == 2, "each submission has a token of its own"


def test_a_sensor_finishes_by_the_delivery(emulator: Emulator, airflow: Airflow) -> None:
    emulator.control.add_fault("run_never_ends")
    submit = Task(emulator, wait_for_completion=False, webhook_url=URL)
    receipt = submit.attempt()
    assert set(receipt) == {"run_id", "grid_id", "status"}
    delivery = submit.pushed["delivery_address"]
    thread = soon(emulator, lambda: airflow.deliver(emulator, submit))
    sensor = TaskRun(
        lambda: RunCompletedSensor(
            task_id="sense",
            grid_id="grid_001",
            run_id=receipt["run_id"],
            delivery_address=delivery,
            trust_webhook=True,
            deferrable=True,
            timeout=30,
        )
    )
    assert sensor.attempt()["status"] == "completed"
    thread.join()
    assert len(polls(emulator)) == 1, "the one that a sensor begins with"


def test_without_a_secret_there_is_no_token_and_nothing_is_awaited(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, connect: Any
) -> None:
    connection = emulator.connection()
    del connection["extra"]["webhook_secret"]
    connect(**{name: value for name, value in connection.items() if name != "conn_type"})
    task = Task(emulator, wait_for_completion=False, webhook_url=URL)
    task.attempt()
    [body] = posted_bodies(emulator)
    assert body["webhook_url"] == URL
    assert task.pushed["delivery_address"] == {}
    assert task.record["delivery_key"] is None


def test_a_killed_worker_writes_no_delivery_of_its_own(emulator: Emulator, airflow: Airflow) -> None:
    task = Task(emulator, deferrable=True, webhook_url=URL, timeout=2)
    task.crash(crash_before="submitted")
    assert task.record["phase"] == "intent"
    assert task.record["delivery_key"] == addressed(emulator).key
