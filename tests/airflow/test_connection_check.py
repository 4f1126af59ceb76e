"""The Test button: who and what was found, or what is wrong; never a credit, never the key."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from tests.airflow.conftest import Connect
from tests.support.certificates import self_signed, server_tls
from tests.support.clients import posted_bodies
from tests.support.servers import answering, http_answer

Check = Callable[[], tuple[bool, str]]


def sync_check() -> tuple[bool, str]:
    return BitScaleHook().test_connection()


def async_check() -> tuple[bool, str]:
    return asyncio.run(BitScaleHook().atest_connection())


@pytest.mark.parametrize("check", [sync_check, async_check])
@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param(
            {},
            (
                True,
                "Connected as Jane Doe, workspace Acme Corp — Sales, plan Enterprise, 65,800 credits left.",
            ),
            id="all well",
        ),
        pytest.param({"extra": {}}, (True, "No workspace_id is set: grids cannot be run"), id="no workspace"),
        pytest.param({"extra": {"workspace_id": "ws_nope"}}, (False, "WORKSPACE_NOT_FOUND"), id="unknown"),
        pytest.param({"extra": {"workspace_id": "ws_ghi789"}}, (False, "403"), id="not a member"),
        pytest.param({"password": "wrong-key-9d1f"}, (False, "INVALID_API_KEY"), id="wrong key"),
        pytest.param({"password": ""}, (False, "the API key is missing"), id="no key"),
        pytest.param({"extra": {"timeout": "soon"}}, (False, "timeout must be a number"), id="wrong field"),
    ],
)
def test_it_says_who_and_what_was_found_or_what_is_wrong(
    changes: dict[str, Any], found: tuple[bool, str], check: Check, emulator: Emulator, connect: Connect
) -> None:
    connect(**{**emulator.connection(), **changes})
    good, message = check()
    assert good is found[0]
    assert found[1] in message
    assert emulator.api_key not in message
    assert "wrong-key" not in message
    assert posted_bodies(emulator) == []


def test_a_server_that_is_down_is_an_answer_too(emulator: Emulator, connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    connect(**{**emulator.connection(), "host": f"http://127.0.0.1:{port}"})
    good, message = sync_check()
    assert not good
    assert "GET /user/me" in message
    assert "refused" in message.lower()


def test_an_answer_that_is_none_is_no_success(emulator: Emulator) -> None:
    emulator.control.add_fault("empty")
    good, message = sync_check()
    assert not good
    assert "not as expected" in message


def test_a_server_that_echoes_the_key_does_not_get_it_into_the_message(emulator: Emulator) -> None:
    emulator.control.add_fault("status", status=401, message=f"the key {emulator.api_key} is not valid")
    good, said = sync_check()
    assert not good
    assert said.startswith("GET /user/me: 401 INVALID_API_KEY: the key *** is not valid. ")
    assert emulator.api_key not in said


def test_a_workspace_that_tells_nothing_of_itself_is_still_found(emulator: Emulator) -> None:
    body = '{"id": "ws_abc123"}'
    emulator.control.add_fault("status", on="get_workspace", status=200, body=body)
    assert sync_check() == (
        True,
        "Connected as Jane Doe, workspace ws_abc123, plan unknown, unknown credits left.",
    )


@pytest.mark.parametrize(("secret", "told"), [("fifteen-letters", True), ("sixteen-letters-", False)])
@pytest.mark.parametrize("check", [sync_check, async_check])
def test_a_webhook_secret_that_can_be_guessed_is_told(
    secret: str, told: bool, check: Check, emulator: Emulator, connect: Connect
) -> None:
    fields = emulator.connection()
    connect(**{**fields, "extra": {**fields["extra"], "webhook_secret": secret}})
    good, message = check()
    assert good
    assert ("webhook_secret has fewer than 16 characters" in message) is told
    assert secret not in message


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("check", [sync_check, async_check])
def test_it_says_what_makes_the_connection_unsafe(check: Check, connect: Connect, tmp_path: Path) -> None:
    user = http_answer(b'{"id": "usr_1", "name": "Jane"}')
    with answering(user, tls=server_tls(self_signed(tmp_path))) as server:
        host = server.url.replace("http://", "https://")
        connect(host=host, password="key-4c9f1b7de2a84f03b6d5", extra={"verify": False})
        good, message = check()
    assert good
    assert f"verify=false: whoever is on the way to {host}/api/v1 can read the API key." in message
