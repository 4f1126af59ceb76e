"""What a fault makes of an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bitscale.emulator import responses
from airflow_provider_bitscale.emulator.contracts.v1_1_0 import CONTRACT
from airflow_provider_bitscale.emulator.faults import Stage
from tests.emulator.test_faults import given

RESPONSE = responses.json_response(200, {"id": "x", "n": 1})


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
    struck = given(fault).of_request("get_run", 100.0).answer
    assert struck is not None
    if struck.stage is Stage.INSTEAD:
        response = responses.instead_of_work(struck, 100.0)
    else:
        response = responses.after_work(struck, RESPONSE)
    assert (response.status if response else None) == status
    if response is None:
        return
    if isinstance(body, str):
        assert response.body.decode() == body
    else:
        document = json.loads(response.body)
        assert set(document) == {"error"}
        assert set(document["error"]) == {"code", "message"}
        assert document["error"]["code"] == body.get("error", document["error"])["code"]
    assert headers.items() <= dict(response.headers).items()
    assert len({name.lower() for name, _ in response.headers}) == len(response.headers)


def test_a_truncated_answer_announces_all_and_sends_half() -> None:
    struck = given({"kind": "truncated"}).of_request("get_run", 0.0).answer
    assert struck is not None
    response = responses.after_work(struck, RESPONSE)
    assert response is not None
    assert (response.body, response.cut_after) == (RESPONSE.body, len(RESPONSE.body) // 2)


COMPLETED = {
    "run_id": "r",
    "status": "completed",
    "outputs": {"c": "v"},
    "credits": {"consumed": 1, "remaining": 2},
    "started_at": "s",
    "completed_at": "c",
}
QUEUED = {"run_id": "r", "status": "q"}
NEW = {"since": "1.2.0"}


@pytest.mark.parametrize(
    ("fault", "answer", "altered"),
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
                "outputs": {"c": {"value": "v", "name": "n", responses.UNKNOWN_FIELD: NEW}},
                "request_body": {"inputs": {"full_name": "x"}, responses.UNKNOWN_FIELD: NEW},
                responses.UNKNOWN_FIELD: NEW,
            },
        ),
        (
            {"kind": "extra_fields"},
            {"grids": [{"id": 1}], "credits": {"used": 1}, "outputs": {"c": "v"}},
            {
                "grids": [{"id": 1, responses.UNKNOWN_FIELD: NEW}],
                "credits": {"used": 1, responses.UNKNOWN_FIELD: NEW},
                "outputs": {"c": "v"},
                responses.UNKNOWN_FIELD: NEW,
            },
        ),
        ({"kind": "reshape", "rename": {"status": "state", "x": "y"}}, QUEUED, {"run_id": "r", "state": "q"}),
        (
            {"kind": "reshape", "rename": {"run_id": "run.id", "status": "run.state"}},
            QUEUED,
            {"run": {"id": "r", "state": "q"}},
        ),
        ({"kind": "reshape", "rename": {"run_id": "status.id"}}, QUEUED, {"status": "q"}),
        ({"kind": "reshape", "rename": {"status": "run_id.of"}}, QUEUED, {"run_id": {"of": "q"}}),
        (
            {"kind": "reshape", "rename": {"status": "outputs.c"}},
            {"outputs": {"c": 1}, "status": "q"},
            {"outputs": {"c": "q"}},
        ),
        ({"kind": "reshape", "drop": ["run_id", "x"]}, QUEUED, {"status": "q"}),
        ({"kind": "reshape", "wrap": "data"}, QUEUED, {"data": QUEUED}),
        ({"kind": "reshape", "wrap": "data.run"}, QUEUED, {"data": {"run": QUEUED}}),
        ({"kind": "reshape", "as_list": True}, QUEUED, [QUEUED]),
        ({"kind": "reshape", "as_list": False, "wrap": None, "cells": None}, QUEUED, QUEUED),
        (
            {"kind": "reshape", "set": {"status": "QUEUED", "n": [1]}},
            QUEUED,
            {**QUEUED, "status": "QUEUED", "n": [1]},
        ),
        (
            {"kind": "reshape", "cells": "column_id"},
            {"outputs": {"c": 1}},
            {"outputs": [{"column_id": "c", "value": 1}]},
        ),
        (
            {"kind": "reshape", "cells": "id"},
            {"outputs": {"c": {"value": 1, "name": "n"}}},
            {"outputs": [{"id": "c", "value": 1, "name": "n"}]},
        ),
        (
            {"kind": "reshape", "cells": "column_id", "set": {"outputs": None}},
            COMPLETED,
            {**COMPLETED, "outputs": None},
        ),
        (
            {
                "kind": "reshape",
                "set": {"status": "done"},
                "cells": "column",
                "drop": ["credits", "started_at", "completed_at"],
                "rename": {"run_id": "requestId", "outputs": "result"},
                "wrap": "data",
                "as_list": True,
            },
            COMPLETED,
            [{"data": {"requestId": "r", "status": "done", "result": [{"column": "c", "value": "v"}]}}],
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
def test_bent_fields(fault: dict[str, Any], answer: dict[str, Any], altered: Any) -> None:
    endpoint = "run_grid" if fault["kind"] == "hostile_poll_url" else "get_run"
    before = json.dumps(answer)
    struck = given(fault).of_answer(endpoint, answer.get("status"), 0.0)
    assert responses.alter_fields(answer, struck, CONTRACT.null_until_true) == altered
    assert json.dumps(answer) == before


def test_faults_on_fields_combine_in_order_until_the_answer_is_a_list() -> None:
    faults: list[dict[str, Any]] = [
        {"kind": "reshape", "wrap": "a"},
        {"kind": "reshape", "wrap": "b", "as_list": True},
    ]
    struck = given(*faults, {"kind": "unknown_status", "value": "x"}).of_answer("get_run", "q", 0.0)
    assert responses.alter_fields(QUEUED, struck, ()) == [{"b": {"a": QUEUED}}]
