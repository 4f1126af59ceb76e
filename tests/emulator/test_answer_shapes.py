"""Answers that are spelled otherwise than documented, as a client meets them on a real socket."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import ENRICHED_EMAIL
from tests.emulator.conftest import Client, KeyClient, error_code

ID_OF = {"v1.1.0": "run_id", "workspace-key": "request_id"}


class Side:
    """One contract's emulator, whose runs end at once, and a client of it."""

    def __init__(self, emulator: Emulator) -> None:
        self.control = emulator.control
        self.keyed = emulator.contract == "workspace-key"
        self.client: Client | KeyClient = KeyClient(emulator) if self.keyed else Client(emulator)
        self.id_name = ID_OF[emulator.contract]

    def receipt(self) -> requests.Response:
        return self.client.run(mode="async", output_columns=[ENRICHED_EMAIL])

    def submitted(self) -> str:
        return str(self.receipt().json()[self.id_name])


@pytest.fixture(scope="module")
def _emulators() -> Iterator[dict[str, Emulator]]:
    with (
        Emulator(run_seconds=(0, 0)) as documented,
        Emulator(contract="workspace-key", run_seconds=(0, 0)) as keyed,
    ):
        yield {"v1.1.0": documented, "workspace-key": keyed}


@pytest.fixture(params=list(ID_OF))
def side(_emulators: dict[str, Emulator], request: pytest.FixtureRequest) -> Iterator[Side]:
    emulator = _emulators[request.param]
    emulator.control.reset()
    side = Side(emulator)
    yield side
    side.client.session.close()


def test_the_id_of_an_accepted_run_under_another_name(side: Side) -> None:
    side.control.add_fault(
        "reshape", on="run_grid", times=1, rename={side.id_name: "requestId"}, drop=["poll_url"], wrap="data"
    )
    answer = side.receipt()
    assert answer.status_code == 200
    assert set(answer.json()) == {"data"}
    assert set(answer.json()["data"]) == {"mode", "requestId", "status"}
    (run,) = side.control.state()["runs"]
    assert answer.json()["data"]["requestId"] == run["run_id"]
    assert [seen["fault"] for seen in side.control.requests()] == ["reshape"]
    assert side.id_name in side.receipt().json()


def test_the_id_nested_and_the_answer_a_list(side: Side) -> None:
    side.control.add_fault("reshape", on="run_grid", rename={side.id_name: "run.id"}, as_list=True)
    (answer,) = side.receipt().json()
    assert answer["run"]["id"] == side.control.state()["runs"][0]["run_id"]


def test_outputs_as_a_list_of_cells_under_another_name(side: Side) -> None:
    run_id = side.submitted()
    (value,) = side.client.poll(run_id).json()["outputs"].values()
    side.control.add_fault("reshape", on="get_run", cells="column_id", rename={"outputs": "result"})
    answer = side.client.poll(run_id).json()
    cell = value if side.keyed else {"value": value}
    assert "outputs" not in answer
    assert answer["result"] == [{"column_id": ENRICHED_EMAIL, **cell}]


@pytest.mark.parametrize("outputs", [None, [], "<html>", {}, 7])
def test_a_completed_run_without_outputs_that_can_be_read(side: Side, outputs: Any) -> None:
    run_id = side.submitted()
    side.control.add_fault("reshape", on="get_run", when="completed", set={"outputs": outputs}, times=1)
    answers = [side.client.poll(run_id).json() for _ in range(2)]
    assert [answer["status"] for answer in answers] == ["completed", "completed"]
    assert answers[0]["outputs"] == outputs
    assert ENRICHED_EMAIL in answers[1]["outputs"]


@pytest.mark.parametrize("status", ["COMPLETED", "success", "partially_completed", None, 3])
def test_a_status_in_other_letters_only_once_the_run_is_over(side: Side, status: Any) -> None:
    side.control.add_fault("run_never_ends")
    side.control.add_fault("reshape", on="get_run", when="completed", set={"status": status})
    run_id = side.submitted()
    assert side.client.poll(run_id).json()["status"] == "running"
    side.control.finish_run(run_id)
    answer = side.client.poll(run_id).json()
    assert answer["status"] == status
    assert ENRICHED_EMAIL in answer["outputs"]


def test_a_sync_answer_is_reshaped_too(side: Side) -> None:
    side.control.add_fault("reshape", set={"status": "COMPLETED"}, wrap="result.run")
    answer = side.client.run(mode="sync").json()
    assert answer["result"]["run"]["status"] == "COMPLETED"
    assert ENRICHED_EMAIL in answer["result"]["run"]["outputs"]


def test_any_endpoint_is_reshaped(side: Side) -> None:
    side.control.add_fault("reshape", on="get_grid", rename={"columns": "fields"}, drop=["description"])
    answer = side.client.get("/grids/grid_001").json()
    assert "fields" in answer
    assert not {"columns", "description"} & set(answer)


ODD = {
    "half a surrogate pair": ("\ud83d", '"\\ud83d"'),
    "NUL": ("a\x00b", '"a\\u0000b"'),
    "NaN": (math.nan, "NaN"),
    "infinity": (math.inf, "Infinity"),
    "minus infinity": (-math.inf, "-Infinity"),
    "an integer of 30 digits": (10**29 + 7, "100000000000000000000000000007"),
}


@pytest.mark.parametrize("what", list(ODD))
def test_values_that_json_allows_and_little_else(side: Side, what: str) -> None:
    value, text = ODD[what]
    run_id = side.submitted()
    side.control.add_fault("reshape", on="get_run", set={"outputs": {"c": value, "\ud83d\x00": [value]}})
    answer = side.client.poll(run_id)
    assert f'"outputs":{{"c":{text},"\\ud83d\\u0000":[{text}]}}' in answer.text
    assert json.dumps(answer.json()["outputs"]["c"]) == text


@pytest.mark.parametrize("odd", ["\ud83d", "\x00"])
def test_odd_texts_as_the_reason_of_a_failure_and_in_inputs(side: Side, odd: str) -> None:
    side.control.add_fault("run_fails", message=f"no {odd}")
    inputs = {"full_name" if side.keyed else "3f7a1c2e-9b4d-4e8f-a012-bc3d56ef7890": odd}
    answer = side.client.run(mode="sync", inputs=inputs).json()
    assert (answer["message"] if side.keyed else answer["error"]["message"]) == f"no {odd}"
    (run,) = side.control.state()["runs"]
    assert odd in run["inputs"].values()


def test_a_body_that_is_no_text(side: Side) -> None:
    side.control.add_fault("status", status=200, body='{"a": "\ud83d"}')
    assert side.client.get("/grids/grid_001").content == b'{"a": "\xed\xa0\xbd"}'


@pytest.mark.parametrize("polls", [1, 3])
def test_polls_lag_behind_the_acceptance(side: Side, polls: int) -> None:
    side.control.add_fault("read_lag", polls=polls, times=1)
    late, prompt = side.submitted(), side.submitted()
    assert side.client.poll(prompt).json()["status"] == "completed"
    answers = [side.client.poll(late) for _ in range(polls + 1)]
    assert {error_code(answer) for answer in answers[:-1]} == {(404, "RUN_NOT_FOUND")}
    assert answers[-1].json()["status"] == "completed"
    state = side.control.state()
    assert (state["runs_paid"], state["runs"][0]["polls"]) == (2, polls + 1)
    assert [seen["fault"] for seen in side.control.requests()[:2]] == ["read_lag", None]


def test_a_lag_of_seconds_that_no_test_outlasts(side: Side) -> None:
    side.control.add_fault("read_lag", seconds=600)
    run_id = side.submitted()
    assert [error_code(side.client.poll(run_id)) for _ in range(5)] == [(404, "RUN_NOT_FOUND")] * 5
    assert side.control.state()["runs"][0]["status"] == "completed"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"status": 402}, "INVALID_REQUEST"),
        ({"status": 402, "code": "PAYMENT_REQUIRED"}, "PAYMENT_REQUIRED"),
        ({"status": 403, "code": "WORKSPACE_SUSPENDED"}, "WORKSPACE_SUSPENDED"),
        ({"status": 429, "code": "QUOTA_EXCEEDED"}, "QUOTA_EXCEEDED"),
        ({"status": 402, "body": '{"detail": "no credits"}'}, None),
    ],
)
def test_an_answer_that_concerns_the_whole_account(
    side: Side, fields: dict[str, Any], code: str | None
) -> None:
    side.control.add_fault("status", on="run_grid", **fields)
    answer = side.receipt()
    assert answer.status_code == fields["status"]
    if code is None:
        assert answer.text == fields["body"]
    else:
        assert error_code(answer) == (fields["status"], code)
    assert side.control.state()["runs_paid"] == 0
