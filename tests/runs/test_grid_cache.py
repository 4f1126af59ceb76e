"""The form of a grid is asked for once by all processes, and anew where it may be outdated."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.api import Client, InvalidRequestError
from airflow_provider_bitscale.api.config import API_CONTRACTS
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME, GRID_ID
from airflow_provider_bitscale.runs import grid_cache
from airflow_provider_bitscale.runs.grid_cache import GridForm, drop_form, note_grid, note_list, shared_grid
from airflow_provider_bitscale.runs.grid_schema import GridSchema
from tests.support.clients import config_for

ROW = {"Full Name": "Jane Doe", "Company": "Acme Corp"}
EACH = pytest.mark.parametrize("contract", API_CONTRACTS)


def client_of(emulator: Emulator, folder: Path, **changes: Any) -> Client:
    """As another process has it."""
    return Client(config_for(emulator, shared_state_url=f"file://{folder}", **changes))


def asked(emulator: Emulator) -> int:
    return len(emulator.control.requests())


def requests_of(contract: str) -> int:
    return 1 if contract == "v1.1.0" else 2


@EACH
def test_one_process_asks_for_all(contract: str, tmp_path: Path) -> None:
    with Emulator(contract=contract) as emulator:
        with client_of(emulator, tmp_path) as client:
            first = GridSchema.fetch(client, GRID_ID, ["Enriched Email"], validate=True)
        assert not first.is_cached
        with client_of(emulator, tmp_path) as client:
            again = GridSchema.fetch(client, GRID_ID, ["Enriched Email"], validate=True)
        assert again.is_cached
        assert asked(emulator) == requests_of(contract)
    assert again.inputs_of(ROW) == first.inputs_of(ROW)
    assert again.output_columns == first.output_columns
    assert (again.required, again.input_names) == (first.required, first.input_names)
    assert GridForm(again.grid, again.recipe).to_json() == GridForm(first.grid, first.recipe).to_json()


@EACH
def test_those_who_ask_at_once_wait_for_the_answer_to_one(contract: str, tmp_path: Path) -> None:
    with Emulator(contract=contract) as emulator:
        emulator.control.add_fault("latency", seconds=0.3)
        clients = [client_of(emulator, tmp_path) for _ in range(12)]
        with ThreadPoolExecutor(len(clients)) as threads:
            forms = list(threads.map(lambda client: GridForm.fetch(client, GRID_ID), clients))
        assert asked(emulator) == requests_of(contract)
    assert [form.is_cached for form in forms].count(False) == 1


def test_who_asks_and_dies_holds_nobody_up_for_long(tmp_path: Path) -> None:
    with Emulator() as emulator, client_of(emulator, tmp_path) as client:
        assert client.hints.claim("grid_asking", GRID_ID, 0.4)
        began = time.monotonic()
        assert GridForm.fetch(client, GRID_ID).grid.id == GRID_ID
        assert 0.3 < time.monotonic() - began < 5
        # It let go of what it had claimed itself.
        assert client.hints.claim("grid_asking", GRID_ID, 1)


def test_nobody_waits_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_cache, "PATIENCE_SECONDS", 0.3)
    with Emulator() as emulator, client_of(emulator, tmp_path) as client:
        client.hints.claim("grid_asking", GRID_ID, 60)
        assert GridForm.fetch(client, GRID_ID).grid.id == GRID_ID


def test_a_refusal_lets_the_next_one_ask(tmp_path: Path) -> None:
    with Emulator() as emulator, client_of(emulator, tmp_path) as client:
        for _ in range(2):
            with pytest.raises(Exception, match="GRID_NOT_FOUND"):
                GridForm.fetch(client, "grid_of_another")


@pytest.mark.parametrize("changes", [{"grid_cache_seconds": 0}, {"shared_state_url": "none"}])
def test_nothing_is_shared_where_that_is_not_wanted(changes: dict[str, Any], tmp_path: Path) -> None:
    settings = {"shared_state_url": f"file://{tmp_path}", **changes}
    with Emulator() as emulator, Client(config_for(emulator, **settings)) as client:
        for number in (1, 2):
            assert not GridForm.fetch(client, GRID_ID).is_cached
            assert asked(emulator) == number
        drop_form(client, GRID_ID)
        note_grid(client, client.get_grid(GRID_ID))
        assert shared_grid(client, GRID_ID) is None


def test_a_form_grows_too_old(tmp_path: Path) -> None:
    with Emulator() as emulator:
        with client_of(emulator, tmp_path) as client:
            GridForm.fetch(client, GRID_ID)
        time.sleep(0.3)
        with client_of(emulator, tmp_path, grid_cache_seconds=0.2) as client:
            assert not GridForm.fetch(client, GRID_ID).is_cached


@EACH
@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: None,
        lambda value: [],
        lambda value: "text",
        lambda value: {},
        lambda value: {**value, "grid": []},
        lambda value: {**value, "grid": {"id": GRID_ID, "columns": ["x"]}},
        lambda value: {**value, "grid": {"id": GRID_ID, "columns": [{"name": "x"}]}},
        lambda value: {**value, "recipe": {"inputs": [1], "columns": []}},
        lambda value: {**value, "recipe": {"inputs": ["x"], "columns": [None]}},
        lambda value: {**value, "recipe": {"inputs": "x", "columns": []}},
        lambda value: {**value, "recipe": {"inputs": ["x"]}},
        lambda value: {**value, "asked_at": None},
        lambda value: {**value, "asked_at": value["asked_at"] + 1000},
        lambda value: {**value, "asked_at": value["asked_at"] - 1000},
    ],
)
def test_what_cannot_be_read_or_true_is_ignored(contract: str, spoil: Any, tmp_path: Path) -> None:
    with Emulator(contract=contract) as emulator, client_of(emulator, tmp_path) as client:
        known = GridForm.fetch(client, GRID_ID)
        value = client.hints.get("grid", GRID_ID)
        client.hints.put("grid", GRID_ID, spoil(value), 60)
        form = GridForm.fetch(client, GRID_ID)
        assert not form.is_cached
        assert form.to_json() == known.to_json()
        assert GridForm.fetch(client, GRID_ID).is_cached


@EACH
def test_no_key_is_shared_and_no_value(contract: str, tmp_path: Path) -> None:
    with Emulator(contract=contract) as emulator, client_of(emulator, tmp_path) as client:
        GridForm.fetch(client, GRID_ID)
        content = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        assert b"Full Name" in content
        for secret in (emulator.api_key, "curl", "headers", "X-API-KEY", "request_body", GRID_ID + "."):
            assert secret.encode() not in content
        names = " ".join(file.name for file in tmp_path.rglob("*"))
        assert emulator.api_key not in names
        assert GRID_ID not in names


def outdated(form: GridForm, column_id: str = FULL_NAME, **changes: Any) -> GridForm:
    """The form as it was before a column was changed."""
    columns = [replace(each, **changes) if each.id == column_id else each for each in form.grid.columns]
    return replace(form, grid=replace(form.grid, columns=tuple(columns)))


def share(client: Client, form: GridForm) -> None:
    client.hints.put("grid", GRID_ID, {"asked_at": time.time(), **form.to_json()}, 60)


@EACH
def test_a_column_that_is_not_in_what_is_shared_is_asked_for_anew(contract: str, tmp_path: Path) -> None:
    with Emulator(contract=contract) as emulator, client_of(emulator, tmp_path) as client:
        share(client, outdated(GridForm.fetch(client, GRID_ID), name="Name Before"))
        before = asked(emulator)
        schema = GridSchema.fetch(client, GRID_ID, ["Full Name"], validate=True)
        assert schema.output_columns == [FULL_NAME]
        assert asked(emulator) == before + requests_of(contract)
        with pytest.raises(InvalidRequestError, match="no column 'Ful Name'"):
            GridSchema.fetch(client, GRID_ID, ["Ful Name"], validate=True)
        assert asked(emulator) == before + 2 * requests_of(contract)


@EACH
def test_a_grid_that_is_seen_to_have_changed_is_asked_for_anew(contract: str, tmp_path: Path) -> None:
    with Emulator(contract=contract) as emulator, client_of(emulator, tmp_path) as client:
        form = GridForm.fetch(client, GRID_ID)
        note_grid(client, client.get_grid(GRID_ID))
        note_list(client, client.list_grids())
        assert shared_grid(client, GRID_ID) is not None
        share(client, outdated(form, name="Name Before"))
        note_grid(client, client.get_grid(GRID_ID))
        assert shared_grid(client, GRID_ID) is None


def test_a_list_with_a_later_change_has_it_asked_for_anew(tmp_path: Path) -> None:
    with Emulator() as emulator, client_of(emulator, tmp_path) as client:
        form = GridForm.fetch(client, GRID_ID)
        listed = replace(form.grid, columns=(), updated_at=datetime.now(timezone.utc) - timedelta(seconds=1))
        note_list(client, [replace(listed, updated_at=form.grid.updated_at)])
        assert shared_grid(client, GRID_ID) is not None
        note_list(client, [listed])
        assert shared_grid(client, GRID_ID) is None
