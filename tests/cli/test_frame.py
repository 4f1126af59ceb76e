"""What is around each command: one line for whatever goes wrong, without a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bitscale.cli import output
from airflow_provider_bitscale.cli.records import cell, one_line
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from tests.cli.conftest import Bitscale, Done

USING_A_CONNECTION = [
    ("check",),
    ("credits",),
    ("grids",),
    ("columns", "grid_001"),
    ("run", "grid_001", "-i", "Full Name=Ada"),
    ("get-run", "grid_001", "run_1"),
]
each_command = pytest.mark.parametrize("arguments", USING_A_CONNECTION, ids=lambda each: each[0])


def error_of(done: Done) -> str:
    assert (done.code, done.out) == (1, ""), done
    assert done.err.startswith("error: ")
    assert done.err.endswith("\n")
    assert done.err.count("\n") == 1
    return done.err


@each_command
def test_a_refused_key_is_told_and_not_shown(
    arguments: tuple[str, ...], bitscale: Bitscale, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-live-nothing-opens-with-this-0123"
    connection = {**emulator.connection(), "password": key}
    monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", json.dumps(connection))
    told = error_of(bitscale(*arguments))
    assert "401" in told
    assert "connection 'bitscale_default'" in told
    assert key not in told


@each_command
def test_a_connection_of_another_type_is_told(
    arguments: tuple[str, ...], bitscale: Bitscale, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", "http://user:not-to-be-shown@example.org")
    told = error_of(bitscale(*arguments, "--conn-id", "other"))
    assert "it is of type 'http', not 'bitscale'" in told
    assert "not-to-be-shown" not in told


@pytest.mark.parametrize(
    "connection",
    ['{"conn_type": "bitscale", "password": "not-to-be-shown', "bitscale://:not-to-be-shown@[::1"],
    ids=["json", "uri"],
)
def test_a_connection_that_cannot_be_read_is_told(
    connection: str, bitscale: Bitscale, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", connection)
    told = error_of(bitscale("check"))
    assert "AIRFLOW_CONN_BITSCALE_DEFAULT is neither a URI nor JSON" in told
    assert "not-to-be-shown" not in told


def test_everything_that_is_wrong_with_a_connection_is_told(
    bitscale: Bitscale, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "bitscale", "extra": {"api_contract": "v9", "timeout": "soon"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", json.dumps(connection))
    told = error_of(bitscale("check"))
    assert "v9" in told
    assert "timeout" in told


def test_a_connection_that_is_not_there_is_told(bitscale: Bitscale, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.secrets.metastore.MetastoreBackend.get_connection", lambda *_, **__: None)
    assert "connection 'nowhere' does not exist" in error_of(bitscale("check", "--conn-id", "nowhere"))


def test_a_server_that_is_not_there_is_told(
    bitscale: Bitscale, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_bitscale.api.client.time.sleep", lambda _: None)
    connection = {**emulator.connection(), "host": "http://127.0.0.1:1/api/v1"}
    monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", json.dumps(connection))
    assert "Connection refused" in error_of(bitscale("credits"))


def test_what_nobody_expected_is_one_line_too_with_its_place_and_without_secrets(
    bitscale: Bitscale, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(hook: BitScaleHook, *_: Any) -> None:
        raise RuntimeError(f"two lines\nand {hook.config.api_key}")

    monkeypatch.setattr(BitScaleHook, "list_grids", fails)
    told = error_of(bitscale("grids"))
    assert "unexpected RuntimeError in test_frame.py:" in told
    assert emulator.api_key not in told


def test_an_interrupted_command_ends_as_shells_have_it(
    bitscale: Bitscale, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(BitScaleHook, "list_grids", interrupted)
    assert bitscale("grids") == Done(130, "", "error: interrupted\n")


def test_names_are_no_markup_and_obeyed_by_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["[bold]Leads[/bold]", ":smile: 007", "line\nbreak\x1b[31m", "ü" * 300]
    rows = [{"name": name} for name in names]
    for format in ("table", "plain"):
        output.print_list(rows, format)
        printed = capsys.readouterr().out
        assert [line.strip() for line in printed.splitlines() if line.strip()][-4:] == [
            "[bold]Leads[/bold]",
            ":smile: 007",
            "line break [31m",
            "ü" * 300,
        ]
    output.print_list(rows, "json")
    assert json.loads(capsys.readouterr().out) == rows


def test_ids_that_look_like_numbers_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    for format in ("table", "plain"):
        output.print_list([{"id": "007"}, {"id": "1e5"}, {"id": "1.50"}], format)
        printed = capsys.readouterr().out.split()
        assert {"007", "1e5", "1.50"} <= set(printed), format


def test_values_in_a_table() -> None:
    assert [cell(value) for value in (None, True, 1.5, ["a"], {"b": 1})] == [
        "",
        "True",
        "1.5",
        '["a"]',
        '{"b": 1}',
    ]
    assert one_line("a\n\tb\x07  c") == "a b c"
