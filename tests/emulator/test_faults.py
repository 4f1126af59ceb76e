"""Which fault changes which request, answer or run."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.emulator.contracts.v1_1_0 import CONTRACT
from airflow_provider_bitscale.emulator.faults import Faults

ENDPOINTS = tuple(endpoint.name for endpoint in CONTRACT.endpoints)


def given(*faults: dict[str, Any], now: float = 0.0) -> Faults:
    injected = Faults(0, ENDPOINTS)
    for fault in faults:
        fields = dict(fault)
        injected.add(fields.pop("kind"), fields, now)
    return injected


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
    injected = given({"kind": "empty", **fault})
    assert [injected.of_request(request, 0.0).answer is not None for request in requests] == struck


def test_a_fault_for_some_seconds_ends() -> None:
    injected = given({"kind": "empty", "for_seconds": 5}, now=100.0)
    assert injected.of_request("get_run", 104.9).answer
    assert not injected.of_request("get_run", 105.0).answer


def test_chance_is_seeded() -> None:
    def pattern(seed: int) -> list[bool]:
        injected = Faults(seed, ENDPOINTS)
        injected.add("empty", {"probability": 0.3}, 0.0)
        return [injected.of_request("get_run", 0.0).answer is not None for _ in range(400)]

    assert pattern(1) == pattern(1)
    assert pattern(1) != pattern(2)
    assert 80 < sum(pattern(1)) < 160


def test_latencies_add_up_and_one_fault_replaces_the_answer() -> None:
    injected = given(
        {"kind": "latency", "seconds": 1},
        {"kind": "latency", "seconds": 0.5},
        {"kind": "storm", "times": 1},
        {"kind": "lost_answer", "after": 1, "times": 1},
        {"kind": "extra_fields"},
    )
    first, second, third = (injected.of_request("get_run", 0.0) for _ in range(3))
    assert first.latency == 1.5
    assert [each.answer.kind if each.answer else None for each in (first, second, third)] == [
        "storm",
        "lost_answer",
        None,
    ]
    assert first.names == ("latency", "latency", "storm")
    assert [fault.kind for fault in injected.of_answer("get_run", None, 0.0)] == ["extra_fields"]


def test_a_fault_that_was_not_used_is_kept() -> None:
    injected = given({"kind": "empty", "times": 1}, {"kind": "array", "times": 1})
    kinds = [getattr(injected.of_request("get_run", 0.0).answer, "kind", None) for _ in range(3)]
    assert kinds == ["empty", "array", None]


def test_faults_on_runs_wait_for_a_run() -> None:
    injected = given({"kind": "run_fails", "times": 1, "after": 1, "message": "no"})
    assert injected.of_request("run_grid", 0.0).names == ()
    assert injected.of_run(0.0) == ()
    (struck,) = injected.of_run(0.0)
    assert (struck.kind, struck.fields["message"]) == ("run_fails", "no")
    assert injected.of_run(0.0) == ()


def test_a_run_can_be_hidden_and_fail_but_ends_in_one_way() -> None:
    injected = given(
        {"kind": "run_fails", "times": 1},
        {"kind": "read_lag", "polls": 2, "times": 2},
        {"kind": "run_never_ends", "times": 1},
    )
    struck = [[fault.kind for fault in injected.of_run(0.0)] for _ in range(3)]
    assert struck == [["run_fails", "read_lag"], ["read_lag", "run_never_ends"], []]


@pytest.mark.parametrize(
    ("fault", "answers", "struck"),
    [
        ({}, ["running", "completed", None], [True, True, True]),
        ({"when": None}, ["running", None], [True, True]),
        ({"when": "completed"}, ["running", "completed", None], [False, True, False]),
        ({"when": "completed", "times": 1}, ["running", "completed", "completed"], [False, True, False]),
        ({"when": "completed", "after": 1}, ["completed", "running", "completed"], [False, False, True]),
        ({"on": "run_grid"}, ["queued"], [False]),
    ],
)
def test_a_fault_on_fields_waits_for_an_answer_that_it_concerns(
    fault: dict[str, Any], answers: list[str | None], struck: list[bool]
) -> None:
    injected = given({"kind": "reshape", "wrap": "data", **fault})
    assert injected.of_request("get_run", 0.0).names == ()
    assert [bool(injected.of_answer("get_run", status, 0.0)) for status in answers] == struck


def test_clear() -> None:
    injected = given({"kind": "empty"}, {"kind": "run_fails"})
    injected.clear()
    assert injected.of_request("get_run", 0.0).names == ()
    assert injected.of_run(0.0) == ()


def test_only_endpoints_of_the_contract_can_be_named() -> None:
    injected = Faults(0, ("get_run",))
    injected.add("empty", {"on": "get_run"}, 0.0)
    with pytest.raises(ValueError, match="'on' of fault empty must be null or one of get_run"):
        injected.add("empty", {"on": "get_grid"}, 0.0)


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        ("earthquake", {}, "unknown fault kind 'earthquake'"),
        ("latency", {}, "needs the field 'seconds'"),
        (
            "latency",
            {"seconds": -1},
            "'seconds' of fault latency: Input should be greater than or equal to 0",
        ),
        ("latency", {"seconds": "1"}, "'seconds'"),
        ("latency", {"seconds": 1, "colour": "red"}, "no field 'colour'"),
        ("latency", {"seconds": 1, "\ud800": "red"}, "of fault latency"),
        ("latency", {"seconds": float("nan")}, "'seconds'"),
        ("status", {"status": 99}, "'status' of fault status: Input should be greater than or equal to 200"),
        ("status", {"status": True}, "'status'"),
        ("status", {"status": 600}, "less than or equal to 599"),
        ("status", {"status": 500, "headers": {"a": 1}}, "'headers'"),
        ("status", {"status": 500, "message": 1}, "'message'"),
        ("redirect", {}, "'location'"),
        (
            "redirect",
            {"location": "/x", "status": 200},
            "'status' of fault redirect: Input should be greater than or equal to 300",
        ),
        (
            "server_error_after_work",
            {"status": 404},
            "'status' of fault server_error_after_work: Input should be greater than or equal to 500",
        ),
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
        ("reshape", {"when": "completed"}, "at least one of set, cells, drop, rename, wrap, as_list"),
        ("reshape", {"drop": "run_id"}, "'drop' of fault reshape: Input should be a valid list"),
        ("reshape", {"rename": {"run_id": 1}}, "'rename'"),
        ("reshape", {"set": ["status"]}, "'set'"),
        ("reshape", {"as_list": 1}, "'as_list'"),
        ("reshape", {"cells": True}, "'cells'"),
        ("read_lag", {}, "at least one of seconds, polls"),
        ("read_lag", {"seconds": -1}, "'seconds'"),
        ("read_lag", {"polls": 1.5}, "'polls'"),
        ("read_lag", {"polls": 1, "on": "get_run"}, "can only be run_grid"),
    ],
)
def test_wrong_faults_are_told(kind: str, fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Faults(0, ENDPOINTS).add(kind, fields, 0.0)
