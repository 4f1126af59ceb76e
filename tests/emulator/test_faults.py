"""Which fault strikes which request, and what it makes of the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bitscale.emulator import replies
from airflow_provider_bitscale.emulator.api_v1_1_0 import CONTRACT
from airflow_provider_bitscale.emulator.faults import FaultBook, Stage

ENDPOINTS = tuple(endpoint.name for endpoint in CONTRACT.endpoints)


def book(*faults: dict[str, Any], now: float = 0.0) -> FaultBook:
    a_book = FaultBook(0, ENDPOINTS)
    for fault in faults:
        fields = dict(fault)
        a_book.add(fields.pop("kind"), fields, now)
    return a_book


@pytest.mark.parametrize(
    ("fault", "requests", "struck"),
    [
        ({}, ["get_run"] * 3, [True, True, True]),
        ({"times": 2}, ["get_run"] * 3, [True, True, False]),
        ({"after": 1}, ["get_run"] * 3, [False, True, True]),
        ({"after": 1, "times": 1}, ["get_run"] * 3, [False, True, False]),
        ({"on": "run_grid"}, ["get_run", "run_grid", None], [False, True, False]),
        ({"on": "run_grid", "after": 1}, ["run_grid", "get_run", "run_grid"], [False, False, True]),
        ({"probability": 0.0}, ["get_run"] * 3, [False, False, False]),
        ({"on": None}, [None, "get_grid"], [True, True]),
    ],
)
def test_when_a_fault_strikes(fault: dict[str, Any], requests: list[str | None], struck: list[bool]) -> None:
    a_book = book({"kind": "empty", **fault})
    assert [a_book.strike(request, 0.0).answer is not None for request in requests] == struck


def test_a_fault_for_some_seconds_ends() -> None:
    a_book = book({"kind": "empty", "for_seconds": 5}, now=100.0)
    assert a_book.strike("get_run", 104.9).answer
    assert not a_book.strike("get_run", 105.0).answer


def test_chance_is_seeded() -> None:
    def pattern(seed: int) -> list[bool]:
        a_book = FaultBook(seed, ENDPOINTS)
        a_book.add("empty", {"probability": 0.3}, 0.0)
        return [a_book.strike("get_run", 0.0).answer is not None for _ in range(400)]

    assert pattern(1) == pattern(1)
    assert pattern(1) != pattern(2)
    assert 80 < sum(pattern(1)) < 160


def test_latencies_add_up_and_one_fault_replaces_the_answer() -> None:
    a_book = book(
        {"kind": "latency", "seconds": 1},
        {"kind": "latency", "seconds": 0.5},
        {"kind": "storm", "times": 1},
        {"kind": "lost_answer", "after": 1, "times": 1},
        {"kind": "extra_fields"},
    )
    first, second, third = (a_book.strike("get_run", 0.0) for _ in range(3))
    assert first.latency == 1.5
    assert [strikes.answer.kind if strikes.answer else None for strikes in (first, second, third)] == [
        "storm",
        "lost_answer",
        None,
    ]
    assert [fault.kind for fault in first.fields] == ["extra_fields"]
    assert first.names == ("latency", "latency", "storm", "extra_fields")


def test_a_fault_that_was_not_used_is_kept() -> None:
    a_book = book({"kind": "empty", "times": 1}, {"kind": "array", "times": 1})
    kinds = [getattr(a_book.strike("get_run", 0.0).answer, "kind", None) for _ in range(3)]
    assert kinds == ["empty", "array", None]


def test_faults_on_runs_wait_for_a_run() -> None:
    a_book = book({"kind": "run_fails", "times": 1, "after": 1, "message": "no"})
    assert a_book.strike("run_grid", 0.0).names == ()
    assert a_book.strike_run(0.0) is None
    struck = a_book.strike_run(0.0)
    assert struck is not None
    assert (struck.kind, struck.fields["message"]) == ("run_fails", "no")
    assert a_book.strike_run(0.0) is None


def test_clear() -> None:
    a_book = book({"kind": "empty"}, {"kind": "run_fails"})
    a_book.clear()
    assert a_book.strike("get_run", 0.0).names == ()
    assert a_book.strike_run(0.0) is None


def test_only_endpoints_of_the_contract_can_be_named() -> None:
    a_book = FaultBook(0, ("get_run",))
    a_book.add("empty", {"on": "get_run"}, 0.0)
    with pytest.raises(ValueError, match="'on' of fault empty must be null or one of get_run"):
        a_book.add("empty", {"on": "get_grid"}, 0.0)


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        ("earthquake", {}, "unknown fault kind 'earthquake'"),
        ("latency", {}, "needs the field 'seconds'"),
        ("latency", {"seconds": -1}, "'seconds' of fault latency must be"),
        ("latency", {"seconds": "1"}, "'seconds'"),
        ("latency", {"seconds": 1, "colour": "red"}, "no field 'colour'"),
        ("status", {"status": 99}, "from 200 to 599"),
        ("status", {"status": True}, "'status'"),
        ("status", {"status": 500, "headers": {"a": 1}}, "'headers'"),
        ("status", {"status": 500, "message": 1}, "'message'"),
        ("redirect", {}, "'location'"),
        ("redirect", {"location": "/x", "status": 200}, "from 300 to 399"),
        ("server_error_after_work", {"status": 404}, "from 500 to 599"),
        ("storm", {"retry_after": "soon"}, "http-date"),
        ("empty", {"on": "nowhere"}, "'on'"),
        ("empty", {"on": []}, "'on'"),
        ("empty", {"times": 0}, "'times'"),
        ("empty", {"after": None}, "'after'"),
        ("empty", {"probability": 1.5}, "'probability'"),
        ("empty", {"for_seconds": "1"}, "'for_seconds'"),
        ("unknown_status", {}, "'value'"),
        ("unknown_status", {"value": "paused", "on": "run_grid"}, "can only be get_run"),
        ("hostile_poll_url", {"url": None}, "'url'"),
        ("run_fails", {"on": "get_run"}, "can only be run_grid"),
    ],
)
def test_wrong_faults_are_told(kind: str, fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        FaultBook(0, ENDPOINTS).add(kind, fields, 0.0)


REPLY = replies.json_reply(200, {"id": "x", "n": 1})


@pytest.mark.parametrize(
    ("fault", "status", "body", "headers"),
    [
        ({"kind": "status", "status": 503}, 503, {"error": {"code": "INTERNAL_ERROR"}}, {}),
        ({"kind": "status", "status": 401}, 401, {"error": {"code": "INVALID_API_KEY"}}, {}),
        ({"kind": "status", "status": 404, "code": "X", "message": ""}, 404, {"error": {"code": "X"}}, {}),
        (
            {"kind": "status", "status": 502, "body": "<html>", "headers": {"X-A": "b"}},
            502,
            "<html>",
            {"Content-Type": "text/html; charset=utf-8", "X-A": "b"},
        ),
        (
            {"kind": "status", "status": 200, "body": "{}", "headers": {"content-type": "application/json"}},
            200,
            "{}",
            {"content-type": "application/json"},
        ),
        ({"kind": "storm"}, 429, {"error": {"code": "RATE_LIMIT_EXCEEDED"}}, {}),
        ({"kind": "storm", "retry_after": 3}, 429, {}, {"Retry-After": "3"}),
        (
            {"kind": "storm", "retry_after": "http-date"},
            429,
            {},
            {"Retry-After": "Thu, 01 Jan 1970 00:01:42 GMT"},
        ),
        (
            {"kind": "redirect", "location": "https://evil.example/"},
            302,
            "",
            {"Location": "https://evil.example/"},
        ),
        ({"kind": "redirect", "location": "/x", "status": 308}, 308, "", {"Location": "/x"}),
        ({"kind": "lost_request"}, None, "", {}),
        ({"kind": "server_error_after_work"}, 500, {"error": {"code": "INTERNAL_ERROR"}}, {}),
        ({"kind": "server_error_after_work", "status": 504}, 504, {}, {}),
        ({"kind": "lost_answer"}, None, "", {}),
        ({"kind": "empty"}, 200, "", {}),
        ({"kind": "array"}, 200, "[]", {}),
        ({"kind": "half_json"}, 200, '{"id":"x', {}),
    ],
)
def test_answers_under_a_fault(
    fault: dict[str, Any], status: int | None, body: str | dict[str, Any], headers: dict[str, str]
) -> None:
    struck = book(fault).strike("get_run", 100.0).answer
    assert struck is not None
    if struck.stage is Stage.INSTEAD:
        reply = replies.instead_of_work(struck, 100.0)
    else:
        reply = replies.after_work(struck, REPLY)
    assert (reply.status if reply else None) == status
    if reply is None:
        return
    if isinstance(body, str):
        assert reply.body.decode() == body
    else:
        document = json.loads(reply.body)
        assert set(document) == {"error"}
        assert set(document["error"]) == {"code", "message"}
        assert document["error"]["code"] == body.get("error", document["error"])["code"]
    assert headers.items() <= dict(reply.headers).items()
    assert len({name.lower() for name, _ in reply.headers}) == len(reply.headers)


def test_a_truncated_answer_announces_all_and_sends_half() -> None:
    struck = book({"kind": "truncated"}).strike("get_run", 0.0).answer
    assert struck is not None
    reply = replies.after_work(struck, REPLY)
    assert reply is not None
    assert (reply.body, reply.sent) == (REPLY.body, len(REPLY.body) // 2)


COMPLETED = {
    "run_id": "r",
    "status": "completed",
    "outputs": {"c": "v"},
    "credits": {"consumed": 1, "remaining": 2},
    "started_at": "s",
    "completed_at": "c",
}
NEW = {"since": "1.2.0"}


@pytest.mark.parametrize(
    ("fault", "answer", "bent"),
    [
        (
            {"kind": "unknown_status", "value": "paused"},
            COMPLETED,
            {"run_id": "r", "started_at": "s", "status": "paused"},
        ),
        (
            {"kind": "hostile_poll_url", "url": "https://evil.example"},
            {"mode": "async", "poll_url": "p"},
            {"mode": "async", "poll_url": "https://evil.example"},
        ),
        ({"kind": "hostile_poll_url", "url": "u"}, {"mode": "sync"}, {"mode": "sync"}),
        (
            {"kind": "unknown_status", "value": "paused"},
            {"mode": "async", "status": "failed", "grid_id": "g", "request_id": "r", "message": "no"},
            {"mode": "async", "status": "paused", "grid_id": "g", "request_id": "r"},
        ),
        (
            {"kind": "extra_fields"},
            {"outputs": {"c": {"value": "v", "name": "n"}}, "request_body": {"inputs": {"full_name": "x"}}},
            {
                "outputs": {"c": {"value": "v", "name": "n", replies.UNKNOWN_FIELD: NEW}},
                "request_body": {"inputs": {"full_name": "x"}, replies.UNKNOWN_FIELD: NEW},
                replies.UNKNOWN_FIELD: NEW,
            },
        ),
        (
            {"kind": "extra_fields"},
            {"grids": [{"id": 1}], "credits": {"used": 1}, "outputs": {"c": "v"}},
            {
                "grids": [{"id": 1, replies.UNKNOWN_FIELD: NEW}],
                "credits": {"used": 1, replies.UNKNOWN_FIELD: NEW},
                "outputs": {"c": "v"},
                replies.UNKNOWN_FIELD: NEW,
            },
        ),
        (
            {"kind": "null_fields"},
            {"run_id": "r", "status": "queued"},
            {
                "run_id": "r",
                "status": "queued",
                "outputs": None,
                "credits": None,
                "error": None,
                "started_at": None,
                "completed_at": None,
            },
        ),
        (
            {"kind": "null_fields"},
            COMPLETED,
            {**COMPLETED, "started_at": None, "completed_at": None, "error": None},
        ),
        (
            {"kind": "null_fields"},
            {"grids": [{"id": "g", "description": "d"}], "total": 1},
            {"grids": [{"id": "g", "description": None}], "total": 1},
        ),
    ],
)
def test_bent_fields(fault: dict[str, Any], answer: dict[str, Any], bent: dict[str, Any]) -> None:
    endpoint = "run_grid" if fault["kind"] == "hostile_poll_url" else "get_run"
    before = json.dumps(answer)
    assert (
        replies.bend_fields(answer, book(fault).strike(endpoint, 0.0).fields, CONTRACT.null_until_true)
        == bent
    )
    assert json.dumps(answer) == before
