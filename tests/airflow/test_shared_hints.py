"""What tasks take from what processes share: the form of a grid, and how long runs take."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_bitscale import exceptions
from airflow_provider_bitscale.api import Client
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME, GRID_ID
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.runs.grid_cache import GridForm
from airflow_provider_bitscale.runs.run_lengths import read_lengths
from airflow_provider_bitscale.sensors.run_completed import RunCompletedSensor
from tests.airflow.test_run_grid_money import Task, paid
from tests.support.clients import posted_bodies, posts

CONTRACTS = ("v1.1.0",)


@pytest.fixture
def client(emulator: Emulator) -> Client:
    """That of another task, by the same connection."""
    return BitScaleHook().client


def share_outdated(client: Client, **changes: Any) -> None:
    """What was shared before a column of the grid was changed."""
    form = GridForm.fetch(client, GRID_ID)
    columns = [replace(each, **changes) if each.id == FULL_NAME else each for each in form.grid.columns]
    outdated = replace(form, grid=replace(form.grid, columns=tuple(columns)))
    client.hints.put("grid", GRID_ID, {"asked_at": time.time(), **outdated.to_json()}, 60)


def grids_asked(emulator: Emulator) -> int:
    return sum(request["path"].endswith(f"/grids/{GRID_ID}") for request in emulator.control.requests())


def test_the_second_task_does_not_ask_for_the_grid(emulator: Emulator) -> None:
    for _ in range(2):
        assert Task(emulator).attempt()["status"] == "completed"
    assert grids_asked(emulator) == 1


def test_the_refusal_of_an_outdated_form_does_not_count(emulator: Emulator, client: Client) -> None:
    share_outdated(client, name="Name Before")
    assert Task(emulator).attempt()["status"] == "completed"
    assert grids_asked(emulator) == 2
    # That of the grid as it is does.
    with pytest.raises(exceptions.InvalidRequestError, match="Ful Name"):
        Task(emulator, inputs={"Ful Name": "Jane Doe"}).attempt()
    assert len(posts(emulator)) == 1


def test_what_bitscale_refuses_for_an_outdated_form_is_another_request_by_the_form_it_has_now(
    emulator: Emulator, client: Client
) -> None:
    share_outdated(client, id="col_before")
    task = Task(emulator)
    assert task.attempt()["status"] == "completed"
    assert [list(body["inputs"]) for body in posted_bodies(emulator)] == [["col_before"], [FULL_NAME]]
    assert paid(emulator) == 1


def test_what_bitscale_refuses_is_not_sent_again_where_nothing_has_changed(
    emulator: Emulator, client: Client
) -> None:
    GridForm.fetch(client, GRID_ID)
    emulator.control.add_fault("status", status=400, code="INVALID_INPUTS", on="run_grid", times=1)
    with pytest.raises(exceptions.InvalidRequestError):
        Task(emulator).attempt()
    assert len(posts(emulator)) == 1
    # Whoever comes next asks for the grid itself.
    assert client.hints.get("grid", GRID_ID) is None or grids_asked(emulator) == 2


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_task_tells_how_long_its_run_took(emulator: Emulator, client: Client, deferrable: bool) -> None:
    task = Task(emulator, deferrable=deferrable)
    assert task.attempt()["status"] == "completed"
    (length,) = read_lengths(client.hints, GRID_ID)
    assert 0 < length < 10
    assert time.time() - 60 < task.record["submitted_at"] <= time.time()


def test_a_sensor_takes_the_names_of_outputs_from_what_is_shared(emulator: Emulator, client: Client) -> None:
    run_id = Task(emulator, wait_for_completion=False).attempt()["run_id"]
    time.sleep(0.6)
    before = grids_asked(emulator)
    sensor = RunCompletedSensor(task_id="wait", grid_id=GRID_ID, run_id=run_id, deferrable=False)
    poked: Any = sensor.poke({})
    assert "Enriched Email" in poked.xcom_value["outputs"]
    assert grids_asked(emulator) == before
