"""The control interface is for programs on this machine, and shows no key."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any

import httpx
import pytest

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.app import EmulatorApp
from airflow_provider_bitscale.emulator.backend import Backend
from airflow_provider_bitscale.emulator.settings import Settings

# Headers of a request, and whether it comes from a program or the emulator's own origin.
SENT: list[tuple[dict[str, str], bool]] = [
    ({}, True),
    ({"Host": "localhost:{port}"}, True),
    ({"Host": "LOCALHOST:{port}"}, True),
    ({"Host": "[::1]:{port}"}, True),
    ({"Origin": "http://127.0.0.1:{port}"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:{port}"}, True),
    ({"Host": "evil.example:{port}"}, False),
    ({"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"}, False),
    ({"Host": "127.0.0.1.evil.example:{port}"}, False),
    ({"Host": "localhost@evil.example"}, False),
    ({"Host": ""}, False),
    ({"Host": "["}, False),
    ({"Origin": "https://evil.example"}, False),
    ({"Origin": "http://localhost:1"}, False),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
]
CALLS = [("GET", "state"), ("GET", "requests"), ("POST", "faults"), ("POST", "reset"), ("DELETE", "faults")]


@pytest.mark.parametrize(("headers", "served"), SENT, ids=str)
def test_pages_of_other_sites_are_refused(headers: dict[str, str], served: bool, emulator: Emulator) -> None:
    port = emulator.url.rpartition(":")[2]
    sent = {name: value.replace("{port}", port) for name, value in headers.items()}
    for method, path in CALLS:
        status, answer = ask(emulator, method, path, sent)
        assert (status != 403) is served, (method, path)
        assert served or answer["error"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize(("peer", "status"), [("127.0.0.1", 200), ("::1", 200), ("192.0.2.7", 403)])
def test_other_machines_are_refused(peer: str, status: int) -> None:
    """They may be served else: see the setting `host`."""
    app = EmulatorApp(Backend(Settings(), "http://127.0.0.1/api/v1"))

    async def answered() -> int:
        transport = httpx.ASGITransport(app, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return (await client.get("/_emulator/state")).status_code

    assert asyncio.run(answered()) == status


def test_what_is_refused_has_no_effect(emulator: Emulator) -> None:
    ask(emulator, "POST", "credits", {"Origin": "https://evil.example"}, {"remaining": 1})
    assert emulator.control.state()["credits"]["ws_abc123"]["remaining"] != 1


@pytest.mark.parametrize(
    ("header", "key", "shown"),
    [
        ("api_key", "sk-live-0123456789abcdef", "***cdef"),
        ("X-API-KEY", "sk-live-0123456789abcdef", "***cdef"),
        ("Authorization", "Bearer sk-live-0123456789abcdef", "***cdef"),
        ("api-key", "short", "***"),
    ],
)
def test_a_recorded_key_is_masked(header: str, key: str, shown: str, emulator: Emulator) -> None:
    ask(emulator, "GET", "../api/v1/user/me", {header: key})
    recorded = emulator.control.requests()
    assert [header.lower(), shown] in recorded[-1]["headers"]
    assert key not in json.dumps(recorded)


def ask(
    emulator: Emulator, method: str, path: str, headers: dict[str, str], body: Any = None
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(emulator.url.removeprefix("http://"), timeout=5)
    path = f"/_emulator/{path}" if not path.startswith("../") else path[2:]
    try:
        connection.request(method, path, body=json.dumps(body or {}), headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()
