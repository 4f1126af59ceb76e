"""Each fault as a client meets it on a real socket, and what it leaves behind on the server."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.responses import UNKNOWN_FIELD
from tests.emulator.conftest import JANE, Client, error_code


def runs_paid(emulator: Emulator) -> int:
    return int(emulator.control.state()["runs_paid"])


@pytest.mark.parametrize(
    ("kind", "fields", "status", "paid"),
    [
        ("latency", {"seconds": 0.2}, 200, 1),
        ("status", {"status": 503}, 503, 0),
        ("status", {"status": 404, "code": "GRID_NOT_FOUND"}, 404, 0),
        ("lost_answer", {}, None, 1),
        ("lost_request", {}, None, 0),
        ("server_error_after_work", {}, 500, 1),
        ("server_error_after_work", {"status": 502}, 502, 1),
        ("storm", {}, 429, 0),
        ("empty", {}, 200, 1),
        ("half_json", {}, 200, 1),
        ("array", {}, 200, 1),
        ("truncated", {}, None, 1),
        ("redirect", {"location": "http://127.0.0.1:1/"}, 302, 0),
        ("run_fails", {"message": "no"}, 200, 1),
        ("run_never_ends", {}, 200, 1),
        ("extra_fields", {}, 200, 1),
        ("null_fields", {}, 200, 1),
        ("hostile_poll_url", {"url": "https://evil.example/"}, 200, 1),
    ],
)
def test_what_each_fault_costs(
    client: Client, emulator: Emulator, kind: str, fields: dict[str, Any], status: int | None, paid: int
) -> None:
    emulator.control.add_fault(kind, on="run_grid", times=1, **fields)
    started = time.monotonic()
    if status is None:
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            client.run(mode="async")
    else:
        assert client.run(mode="async").status_code == status
    assert time.monotonic() - started >= fields.get("seconds", 0)
    assert runs_paid(emulator) == paid
    seen = emulator.control.requests()[-1]
    assert seen["fault"] == kind
    # A truncated answer had its status line sent; the others that failed had nothing.
    assert seen["status"] == (200 if kind == "truncated" else status)
    assert client.run(mode="async").status_code == 200
    assert emulator.control.requests()[-1]["fault"] is None


@pytest.mark.parametrize(
    ("kind", "text"), [("empty", ""), ("array", "[]"), ("half_json", None), ("status", "<html>")]
)
def test_bodies_that_are_no_answer(client: Client, emulator: Emulator, kind: str, text: str | None) -> None:
    whole = client.get("/user/me").text
    fields = {"status": 502, "body": "<html>"} if kind == "status" else {}
    emulator.control.add_fault(kind, **fields)
    answer = client.get("/user/me")
    assert answer.text == (whole[: len(whole) // 2] if text is None else text)
    assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_a_message_may_be_anything(client: Client, emulator: Emulator) -> None:
    emulator.control.add_fault("status", status=401, message=f"bad key {emulator.api_key}")
    answer = client.get("/user/me")
    assert error_code(answer) == (401, "INVALID_API_KEY")
    assert emulator.api_key in answer.text


def test_a_redirect_points_where_it_was_told(client: Client, emulator: Emulator) -> None:
    emulator.control.add_fault("redirect", location="https://evil.example/", status=307)
    answer = client.get("/user/me")
    assert (answer.status_code, answer.headers["Location"]) == (307, "https://evil.example/")


@pytest.mark.parametrize(("retry_after", "header"), [(None, None), (2, "2"), ("http-date", "GMT")])
def test_a_storm(
    client: Client, emulator: Emulator, retry_after: int | str | None, header: str | None
) -> None:
    emulator.control.add_fault("storm", retry_after=retry_after, times=2)
    answers = [client.get("/user/me") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert error_code(answers[0]) == (429, "RATE_LIMIT_EXCEEDED")
    assert "X-RateLimit-Limit" not in answers[0].headers
    found = answers[0].headers.get("Retry-After")
    assert found is None if header is None else found is not None and found.endswith(header)
    assert emulator.control.state()["rate_limited"] == 2


def test_fields_of_a_poll(client: Client, emulator: Emulator) -> None:
    control = emulator.control
    run_id = client.submit()
    time.sleep(0.15)
    control.add_fault("unknown_status", value="paused", times=1)
    assert client.get("/user/me").status_code == 200
    answer = client.poll(run_id).json()
    assert answer["status"] == "paused"
    assert "outputs" not in answer
    control.add_fault("null_fields", times=1)
    answer = client.poll(run_id).json()
    assert (answer["error"], answer["completed_at"], answer["status"]) == (None, None, "completed")
    control.add_fault("extra_fields", times=1)
    answer = client.poll(run_id).json()
    assert UNKNOWN_FIELD in answer
    assert UNKNOWN_FIELD in answer["credits"]
    assert len(answer["outputs"]) == 10


def test_the_poll_url_can_be_hostile(client: Client, emulator: Emulator) -> None:
    emulator.control.add_fault("hostile_poll_url", url="https://evil.example/steal")
    assert client.run(mode="async").json()["poll_url"] == "https://evil.example/steal"


def test_a_client_that_gives_up_on_a_slow_answer_has_a_run_nevertheless(
    client: Client, emulator: Emulator
) -> None:
    emulator.control.add_fault("latency", seconds=60, on="run_grid")
    url = client.base_url + "/grids/grid_001/run"
    with pytest.raises(requests.ReadTimeout):
        client.session.post(url, json={"mode": "async", "inputs": JANE}, timeout=0.2)
    assert runs_paid(emulator) == 1
    assert emulator.control.requests()[-1]["status"] is None


def test_faults_are_spent_only_where_they_apply(client: Client, emulator: Emulator) -> None:
    control = emulator.control
    control.add_fault("status", status=500, on="get_run", times=1)
    control.add_fault("run_fails", times=1)
    assert client.get("/grids/grid_001").status_code == 200
    assert client.run(inputs={}).status_code == 400
    run_id = client.submit()
    assert [client.poll(run_id).status_code for _ in range(2)] == [500, 200]
    assert control.requests()[-3]["fault"] == "run_fails"


def test_faults_are_lifted(client: Client, emulator: Emulator) -> None:
    emulator.control.add_fault("status", status=500)
    assert client.get("/user/me").status_code == 500
    emulator.control.clear_faults()
    assert client.get("/user/me").status_code == 200


def test_rate_limit_headers_are_on_faults_too() -> None:
    with Emulator(rate_limit=(100, 600.0)) as emulator:
        emulator.control.add_fault("storm", times=1)
        emulator.control.add_fault("status", status=500, times=1)
        client = Client(emulator)
        remaining = [client.get("/user/me").headers["X-RateLimit-Remaining"] for _ in range(3)]
        assert remaining == ["99", "98", "97"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"kind": "earthquake"}, "unknown fault kind"),
        ({"kind": "latency"}, "needs the field 'seconds'"),
        ({"kind": "empty", "on": "nowhere"}, "'on'"),
    ],
)
def test_wrong_faults_are_refused_in_words(emulator: Emulator, fields: dict[str, Any], told: str) -> None:
    answer = requests.post(emulator.url + "/_emulator/faults", json=fields, timeout=5)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]
    with pytest.raises(ValueError, match=told):
        emulator.control.add_fault(**fields)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"kind": 1}', b'{"remaining": -1}', b'{"remaining": true}']
)
@pytest.mark.parametrize("path", ["faults", "credits"])
def test_the_control_refuses_nonsense(emulator: Emulator, path: str, body: bytes) -> None:
    assert requests.post(f"{emulator.url}/_emulator/{path}", data=body, timeout=5).status_code == 400


def test_credits_of_an_unknown_workspace(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="no workspace"):
        emulator.control.set_credits(1, "ws_nowhere")
    emulator.control.set_credits(1, "ws_def456")
    assert emulator.control.state()["credits"]["ws_def456"]["remaining"] == 1
