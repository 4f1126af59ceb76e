"""An error about what a connection leads to names it; a refused key gets the same advice anywhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api.config import V1_1_0, WORKSPACE_KEY
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator
from airflow_provider_bitscale.sensors.credits import CreditsSensor
from airflow_provider_bitscale.sensors.run_completed import RunCompletedSensor
from tests.support.batches import people
from tests.support.clients import posted_bodies
from tests.support.task_runs import TaskRun

CONN_ID = "acme_sales"
GRID: dict[str, Any] = {"grid_id": "grid_001", "bitscale_conn_id": CONN_ID}
IN_TRIGGER: dict[str, Any] = {
    "poke_interval": 0.05,
    "timeout": 5,
    "deferrable": True,
    "bitscale_conn_id": CONN_ID,
}

# Everything of ours that a task may do with a connection.
USES: dict[str, Callable[[], Any]] = {
    "hook": lambda: BitScaleHook(CONN_ID).get_grid("grid_001"),
    "hook, async": lambda: asyncio.run(BitScaleHook(CONN_ID).aget_grid("grid_001")),
    "run": lambda: attempt(lambda: RunGridOperator(task_id="t", inputs={"Full Name": "Ada"}, **GRID)),
    "batch": lambda: attempt(lambda: RunGridBatchOperator(task_id="t", rows=people(1), **GRID)),
    "batch with webhooks": lambda: attempt(
        lambda: RunGridBatchOperator(
            task_id="t", rows=people(1), webhook_url=f"https://a.b/bitscale/webhooks/{CONN_ID}", **GRID
        )
    ),
    "credits": lambda: attempt(lambda: CreditsSensor(task_id="t", min_credits=1, **IN_TRIGGER)),
    "sensor": lambda: attempt(
        lambda: RunCompletedSensor(task_id="t", grid_id="grid_001", run_id="run_1", **IN_TRIGGER)
    ),
}


def attempt(make: Callable[[], Any]) -> Any:
    return TaskRun(make).attempt()


@pytest.fixture
def connection(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`connection(password=…, extra=…)`: `acme_sales` leads to the emulator, but for these fields."""

    def connect(**changes: Any) -> None:
        fields = {**emulator.connection(), **changes}
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(fields))

    return connect


@pytest.mark.parametrize("contract", [V1_1_0])
@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"password": "bs_mistyped_key"}, "INVALID_API_KEY", id="wrong key"),
        pytest.param({"password": ""}, "the API key is missing", id="no key"),
        pytest.param({"extra": {"workspace_id": "ws_nope"}}, "WORKSPACE_NOT_FOUND", id="wrong workspace"),
        pytest.param({"conn_type": "http"}, "it is of type 'http', not 'bitscale'", id="wrong type"),
        pytest.param({"extra": {"timeout": "soon"}}, "timeout must be a number", id="wrong field"),
    ],
)
def test_it_is_named(
    changes: dict[str, Any], said: str, use: Callable[[], Any], connection: Callable[..., None],
    emulator: Emulator,
) -> None:  # fmt: skip
    connection(**changes)
    with pytest.raises(api.BitScaleError) as caught:
        use()
    assert str(caught.value).startswith(f"connection {CONN_ID!r}: ")
    assert said in str(caught.value)
    assert posted_bodies(emulator) == []


@pytest.mark.parametrize("conn_type", ["bitscale", "", None])
def test_a_connection_without_a_type_is_used(conn_type: str | None, connection: Callable[..., None]) -> None:
    connection(conn_type=conn_type)
    assert BitScaleHook(CONN_ID).get_grid("grid_001").id == "grid_001"


def test_it_is_not_blamed_for_what_a_row_lacks(connection: Callable[..., None]) -> None:
    connection()
    task = TaskRun(lambda: RunGridOperator(task_id="t", inputs={"Fulll Name": "Ada"}, **GRID))
    with pytest.raises(api.InvalidRequestError, match=r"^grid 'Lead Enr"):
        task.attempt()


WORKSPACE_HINT = "api_contract 'workspace-key' is the likely cure"
PERSON_HINT = "api_contract 'v1.1.0', with a workspace_id, is the likely cure"
AS_WORKSPACE = {"api_contract": WORKSPACE_KEY}
# Contract that BitScale speaks, what the connection has, and the hint.
REFUSED_KEYS = {
    "workspace key, alone": (WORKSPACE_KEY, {"extra": {}}, WORKSPACE_HINT),
    "workspace key, beside a workspace": (
        WORKSPACE_KEY, {"extra": {"workspace_id": "ws_abc123"}}, WORKSPACE_HINT,
    ),
    "workspace key, of the documented API": (
        V1_1_0, {"password": "sk-live-0123456789ab"}, WORKSPACE_HINT,
    ),
    "a person's key, as a workspace's": (
        WORKSPACE_KEY, {"password": "a-key-of-jane-doe", "extra": AS_WORKSPACE}, PERSON_HINT,
    ),
    "a person's key, of the documented API, as a workspace's": (
        V1_1_0, {"extra": AS_WORKSPACE}, PERSON_HINT,
    ),
    "mistyped": (
        V1_1_0, {"password": "a-key-of-jane-doe"},
        "If it is the key of a workspace, and not of a person, set api_contract to 'workspace-key'",
    ),
    "rotated": (WORKSPACE_KEY, {"password": "sk-live-0123456789ab"}, "it may have been rotated"),
}  # fmt: skip


@pytest.mark.parametrize("use", [use for name, use in USES.items() if name != "batch with webhooks"])
@pytest.mark.parametrize(("contract", "changes", "hint"), REFUSED_KEYS.values(), ids=REFUSED_KEYS)
@pytest.mark.usefixtures("impatient")
def test_a_key_that_is_refused_gets_the_advice_of_the_test_button(
    changes: dict[str, Any], hint: str, use: Callable[[], Any], connection: Callable[..., None]
) -> None:
    connection(**changes)
    good, message = BitScaleHook(CONN_ID).test_connection()
    assert not good
    assert hint in message
    with pytest.raises(api.BitScaleError) as caught:
        use()
    assert hint in str(caught.value)


@pytest.mark.parametrize("contract", [V1_1_0, WORKSPACE_KEY])
def test_an_unknown_grid_says_nothing_about_the_key(connection: Callable[..., None]) -> None:
    connection()
    with pytest.raises(api.NotFoundError) as caught:
        BitScaleHook(CONN_ID).get_grid("no-such-grid")
    assert "api_contract" not in str(caught.value)


def test_the_test_button_does_not_tell_the_made_up_id_that_airflow_gives_it(
    connection: Callable[..., None],
) -> None:
    connection(password="bs_mistyped_key")
    for check in (
        BitScaleHook(CONN_ID).test_connection(),
        asyncio.run(BitScaleHook(CONN_ID).atest_connection()),
    ):
        assert CONN_ID not in check[1]
