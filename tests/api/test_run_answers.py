"""Answers about runs, spelled in ways that no document has: read alike under both contracts, and told."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_bitscale.api.models import RunStatus
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.api.run_answers import RunSpelling, read_accepted_run, read_polled_run
from airflow_provider_bitscale.api.unexpected import tell_once

DOCUMENTED = RunSpelling(run_id=("run_id",), cells=False)
WORKSPACE_KEY = RunSpelling(run_id=("request_id", "run_id"), cells=True)
BOTH = [pytest.param(DOCUMENTED, id="v1.1.0"), pytest.param(WORKSPACE_KEY, id="workspace-key")]
URL = "https://api.bitscale.ai/api/v1/grids/grid_001/runs/r-17"

ACCEPTED: dict[str, Any] = {
    "requestId": {"requestId": "r-17", "status": "queued"},
    "runId": {"runId": "r-17", "status": "queued"},
    "id": {"id": "r-17", "status": "queued"},
    "a whole number": {"id": 17, "status": "queued"},
    "upper case": {"RUN_ID": "r-17", "STATUS": "QUEUED"},
    "no status": {"requestId": "r-17"},
    "another name for the status": {"requestId": "r-17", "state": "accepted"},
    "wrapped in data": {"data": {"run_id": "r-17", "status": "queued"}},
    "wrapped, with a word of success": {"status": "success", "data": {"request_id": "r-17"}},
    "wrapped twice": {"data": {"run": {"id": "r-17", "status": "queued"}}},
    "nested under run": {"run": {"id": "r-17"}, "status": "queued"},
    "wrapped in a result": {"result": {"runId": "r-17"}},
    "a list": [{"run_id": "r-17", "status": "queued"}],
    "a list that is wrapped": {"data": [{"run_id": "r-17"}]},
    "poll_url alone": {"mode": "async", "status": "queued", "poll_url": URL},
    "poll_url decides": {"mode": "async", "id": "row-1", "requestId": "r-17", "poll_url": URL},
    "poll_url in other letters": {"pollUrl": URL + "/?x=1"},
    "a trace beside a wrapper": {"request_id": "trace-1", "data": {"run_id": "r-17", "status": "queued"}},
    "a trace beside the same name": {"requestId": "trace-1", "data": {"request_id": "r-17"}},
    "a trace and a word of success": {"request_id": "t", "status": "ok", "data": {"run_id": "r-17"}},
    "null beside a wrapper": {"run_id": None, "data": {"run_id": "r-17"}},
    "null beside another spelling": {"run_id": None, "runId": "r-17"},
    "null in one spelling of three": {"runId": None, "RUN_ID": "", "run-id": "r-17"},
    "poll_url with the id in its query": {"poll_url": "https://x/api/poll?run_id=r-17"},
    "poll_url with a status behind the id": {"poll_url": "/api/v1/runs/r-17/status"},
    "poll_url with a status before the id": {"poll_url": "/api/v1/run/status/r-17"},
    "blanks around it": {"id": " r-17 "},
    "a header": {"X-BitScale-Run-Id": "r-17"},
    "a header, and the id of a row": {"Location": "/api/v1/grids/g/runs/r-17", "id": "row-1"},
    "beside an error": {"requestId": "r-17", "state": "queued", "error": {"code": "INSUFFICIENT_CREDITS"}},
    "beside an error that refuses nothing": {"runId": "r-17", "error": {"code": "WEBHOOK_DELIVERY_FAILED"}},
}


@pytest.mark.parametrize("spelling", BOTH)
@pytest.mark.parametrize("payload", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_the_id_of_an_accepted_run_is_read_and_told(payload: Any, spelling: RunSpelling) -> None:
    run = read_accepted_run(payload, spelling)
    assert run.run_id == ("17" if payload == ACCEPTED["a whole number"] else "r-17")
    assert run.unexpected


@pytest.mark.parametrize(
    ("spelling", "payload"),
    [
        (DOCUMENTED, {"mode": "async", "run_id": "r-17", "status": "queued", "poll_url": "https://x/other"}),
        (WORKSPACE_KEY, {"mode": "async", "request_id": "r-17", "status": "running", "id": "row-1"}),
    ],
)
def test_what_is_as_documented_is_not_told(spelling: RunSpelling, payload: dict[str, Any]) -> None:
    run = read_accepted_run(payload, spelling)
    assert (run.run_id, run.unexpected) == ("r-17", ())


@pytest.mark.parametrize("spelling", BOTH)
def test_a_whole_number_is_the_same_id_with_a_point(spelling: RunSpelling) -> None:
    assert read_accepted_run({"run_id": 77.0, "status": "queued"}, spelling).run_id == "77"


NAMES_NO_RUN: dict[str, Any] = {
    "nothing": {},
    "a word": {"status": "queued"},
    "a text": "accepted",
    "two runs": [{"run_id": "a"}, {"run_id": "b"}],
    "no run": [],
    "an empty id": {"run_id": "", "status": "queued"},
    "an id that is an object": {"run_id": {"a": 1}},
    "an id with a line break": {"run_id": "a\nb"},
    "an endless id": {"run_id": "a" * 201},
    "true": {"run_id": True},
    "a poll_url without an id": {"poll_url": "https://api.bitscale.ai/api/v1/grids/grid_001/runs/"},
    "a poll_url that is none": {"poll_url": "https://[x/y"},
    "a poll_url without a word before its end": {"poll_url": "https://x/api/poll"},
    "a poll_url of the grid alone": {"poll_url": "https://x/grids/grid_001/run"},
    "dots": {"run_id": "..", "status": "queued"},
    "a fraction": {"run_id": 7.5},
    "an error of whatever answered": {"status": "error", "message": "upstream timed out"},
    "a refusal with the id of a request": {"id": "t-1", "error": {"code": "INSUFFICIENT_CREDITS"}},
    "running, and synchronous": {"mode": "sync", "status": "running"},
    "completed, without outputs": {"mode": "sync", "status": "completed", "outputs": None},
}


@pytest.mark.parametrize("spelling", BOTH)
@pytest.mark.parametrize("payload", NAMES_NO_RUN.values(), ids=NAMES_NO_RUN.keys())
def test_an_answer_that_names_no_run_cannot_be_read(payload: Any, spelling: RunSpelling) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each in its own words
        read_accepted_run(payload, spelling)


STATUSES: dict[str, RunStatus] = {
    "COMPLETED": RunStatus.COMPLETED,
    "Completed": RunStatus.COMPLETED,
    " completed ": RunStatus.COMPLETED,
    "success": RunStatus.COMPLETED,
    "done": RunStatus.COMPLETED,
    "partially_completed": RunStatus.COMPLETED,
    "PartiallyCompleted": RunStatus.COMPLETED,
    "completed-with-errors": RunStatus.COMPLETED,
    "FAILED": RunStatus.FAILED,
    "error": RunStatus.FAILED,
    "cancelled": RunStatus.FAILED,
    "IN_PROGRESS": RunStatus.RUNNING,
    "Pending": RunStatus.RUNNING,
    "paused": RunStatus.UNKNOWN,
    "incomplete": RunStatus.UNKNOWN,
    "not completed": RunStatus.UNKNOWN,
}


@pytest.mark.parametrize("spelling", BOTH)
@pytest.mark.parametrize(("word", "status"), STATUSES.items())
def test_a_status_counts_in_any_letters(word: str, status: RunStatus, spelling: RunSpelling) -> None:
    payload = {"mode": "async", "status": word, "outputs": {"c": "x"}}
    run = read_polled_run(payload, spelling, "r-17")
    assert (run.status, run.reported_status, run.run_id) == (status, word, "r-17")
    assert run.outputs == {"c": "x"}
    assert parse_run(run.to_json()).status is status, "as it crosses from the triggerer to a worker"


POLLED: dict[str, tuple[Any, str]] = {
    "wrapped beside a trace": (
        {"request_id": "t", "data": {"run_id": "r-17", "status": "running"}},
        "running",
    ),
    "wrapped without an id": ({"request_id": "t", "data": {"status": "completed"}}, "completed"),
    "an object": ({"status": {"state": "completed"}}, "completed"),
    "running, in an envelope that succeeded": (
        {"status": "success", "data": {"run_id": "r-17", "state": "running", "outputs": {"c": "x"}}},
        "running",
    ),
    "running, without outputs": (
        {"status": "success", "data": {"request_id": "r-17", "state": "running"}},
        "running",
    ),
    "failed, in other letters": ({"status": "success", "data": {"id": "r", "Status": "failed"}}, "failed"),
    "queued, in two envelopes": (
        {"status": "completed", "data": {"state": "ok", "run": {"id": "r", "runStatus": "queued"}}},
        "queued",
    ),
    "an object in an envelope": (
        {"status": "success", "data": {"run_id": "r-17", "state": {"status": "running"}}},
        "running",
    ),
    "a number in an envelope": ({"state": "success", "data": {"run_id": "r-17", "status": 3}}, "unknown"),
    "null in an envelope": ({"state": "done", "data": {"run_id": "r-17", "status": None}}, "completed"),
    "running, its id in the envelope": (
        {"status": "success", "run_id": "r-17", "data": {"state": "running"}},
        "running",
    ),
    "running, some outputs, its id in the envelope": (
        {"status": "success", "run_id": "r-17", "data": {"status": "running", "outputs": {"c": "x"}}},
        "running",
    ),
    "running, its outputs in an envelope that succeeded": (
        {"status": "running", "run_id": "r-17", "data": {"status": "success", "outputs": {"c": "x"}}},
        "running",
    ),
    "completed, beside what was asked for": (
        {"status": "success", "run_id": "r-17", "outputs": {"c": "x"}, "request": {"status": "queued"}},
        "completed",
    ),
    "running, beside a word of success": ({"status": "success", "state": "running"}, "running"),
    "a number": ({"status": 3}, "unknown"),
    "none, beside outputs": ({"outputs": {"c": "x"}}, "unknown"),
    "true, beside outputs": ({"status": True, "outputs": {"c": "x"}}, "unknown"),
    "failed, for want of credits": (
        {"state": "failed", "error": {"code": "INSUFFICIENT_CREDITS"}},
        "failed",
    ),
}


@pytest.mark.parametrize("spelling", BOTH)
@pytest.mark.parametrize(("payload", "status"), POLLED.values(), ids=POLLED.keys())
def test_the_answer_to_a_poll_is_read_wherever_it_holds_the_run(
    payload: Any, status: str, spelling: RunSpelling
) -> None:
    run = read_polled_run(payload, spelling, "r-17")
    assert (run.run_id, run.status.value) == ("r-17", status)


def test_an_error_that_may_be_about_the_request_ends_no_run() -> None:
    for payload in ({"status": "error", "message": "try again"}, {"status": "failure"}):
        assert read_polled_run(payload, WORKSPACE_KEY, "r-17").status is RunStatus.UNKNOWN
    assert read_polled_run({"status": "failed"}, WORKSPACE_KEY, "r-17").status is RunStatus.FAILED


OTHER_IDS: dict[str, tuple[dict[str, Any], str]] = {
    "of a row": ({"id": "row-9"}, "r-17"),
    "of a request": ({"requestId": "trace-9"}, "r-17"),
    "of another run": ({"run_id": "r-18"}, "r-18"),
}


@pytest.mark.parametrize("spelling", BOTH)
@pytest.mark.parametrize(("ids", "run_id"), OTHER_IDS.values(), ids=OTHER_IDS.keys())
def test_a_poll_is_about_another_run_only_by_its_documented_name(
    ids: dict[str, Any], run_id: str, spelling: RunSpelling
) -> None:
    assert read_polled_run({"status": "running", **ids}, spelling, "r-17").run_id == run_id


OUTPUTS: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "a map": ({"outputs": {"c": "x"}}, {"c": "x"}),
    "empty": ({"outputs": {}}, {}),
    "cells": ({"outputs": {"c": {"value": "x", "name": "C"}}}, {"c": "x"}),
    "called result": ({"result": {"c": "x"}}, {"c": "x"}),
    "called output": ({"output": {"c": "x"}}, {"c": "x"}),
    "null, and a result": ({"outputs": None, "result": {"c": "x"}}, {"c": "x"}),
    "a list of cells": ({"outputs": [{"column_id": "c", "value": "x"}]}, {"c": "x"}),
    "cells with names": ({"outputs": [{"id": "c", "name": "C", "value": "x"}]}, {"c": "x"}),
    "cells that have names only": ({"outputs": [{"name": "C", "value": "x"}]}, {"C": "x"}),
    "a list under result": ({"result": [{"columnId": "c", "value": None}]}, {"c": None}),
    "absent": ({}, None),
    "null": ({"outputs": None}, None),
    "an empty list": ({"outputs": []}, None),
    "text": ({"outputs": "<html>"}, None),
    "a number": ({"outputs": 7}, None),
    "a list of values": ({"outputs": ["x"]}, None),
    "cells without a column": ({"outputs": [{"value": "x"}]}, None),
    "wrapped": ({"data": {"outputs": {"c": "x"}}}, {"c": "x"}),
    "wrapped beside the id": ({"run_id": "r-17", "data": {"outputs": {"c": "x"}}}, {"c": "x"}),
    "wrapped in themselves": ({"outputs": {"outputs": {"c": "x"}}}, {"c": "x"}),
    "wrapped in a result": ({"result": {"outputs": {"c": "x"}, "success": True}}, {"c": "x"}),
    "a column called like them": ({"outputs": {"output": "x", "c": "y"}}, {"output": "x", "c": "y"}),
    "empty, beside a result": ({"outputs": {}, "result": {"c": "x"}}, {"c": "x"}),
    "cells, one of them null": (
        {"outputs": {"c": {"value": "x", "name": "C"}, "d": None}},
        {"c": "x", "d": None},
    ),
    "cells without names": ({"outputs": {"c": {"value": "x"}, "d": {"value": 1}}}, {"c": "x", "d": 1}),
    "a list of cells with columns": ({"outputs": [{"column": {"id": "c"}, "value": "x"}]}, {"c": "x"}),
    "the column's id before the cell's": (
        {"outputs": [{"id": "cell_1", "column": {"id": "c", "name": "C"}, "value": "x"}]},
        {"c": "x"},
    ),
    "a list with a cell without a value": (
        {"outputs": [{"column_id": "c", "value": "x"}, {"column_id": "d"}, None]},
        {"c": "x", "d": None},
    ),
    "a list of columns": ({"outputs": [{"id": "c", "name": "C"}]}, None),
    "two cells of one column": ({"outputs": [{"id": "c", "value": 1}, {"id": "c", "value": 2}]}, None),
}


@pytest.mark.parametrize("spelling", BOTH)
@pytest.mark.parametrize(("fields", "outputs"), OUTPUTS.values(), ids=OUTPUTS.keys())
def test_outputs_are_read_where_they_name_their_columns(
    fields: dict[str, Any], outputs: dict[str, Any] | None, spelling: RunSpelling
) -> None:
    run = read_polled_run({"status": "completed", **fields}, spelling, "r-17")
    assert (run.status, run.outputs) == (RunStatus.COMPLETED, outputs)


def test_an_output_that_is_an_object_stays_one_where_cells_are_not_documented() -> None:
    for rich in ({"c": {"value": 3, "unit": "m"}, "d": "x"}, {"c": {"value": 3, "unit": "m"}}):
        run = read_polled_run({"status": "completed", "outputs": rich}, DOCUMENTED, "r-17")
        assert run.outputs == rich


@pytest.mark.parametrize("spelling", BOTH)
@pytest.mark.parametrize("more", [{}, {"id": "trace-1"}, {"run_id": "r-17"}], ids=["", "a trace", "an id"])
@pytest.mark.parametrize("status", [{"status": "enough"}, {"status": "ok"}, {}])
def test_a_synchronous_answer_is_kept_under_a_status_that_is_not_known(
    spelling: RunSpelling, more: dict[str, Any], status: dict[str, Any]
) -> None:
    run = read_accepted_run({"mode": "sync", "outputs": {"c": "x"}, **status, **more}, spelling)
    assert (run.status, run.outputs) == (RunStatus.COMPLETED, {"c": "x"})
    assert any(str(status.get("status", "unknown")) in what for what in run.unexpected)


@pytest.mark.parametrize("spelling", BOTH)
def test_a_synchronous_answer_that_wraps_its_outputs_is_kept(spelling: RunSpelling) -> None:
    run = read_accepted_run({"success": True, "data": {"outputs": {"c": "x"}}}, spelling)
    assert (run.status, run.outputs) == (RunStatus.COMPLETED, {"c": "x"})


def test_what_is_unexpected_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    tell_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            read_accepted_run({"requestId": f"r-{number}", "status": "queued"}, DOCUMENTED)
    (record,) = caplog.records
    assert "'requestId'" in record.getMessage()
