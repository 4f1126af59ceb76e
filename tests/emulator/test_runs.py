"""Runs over a real socket: sync, async, credits, the same answers everywhere."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import COMPANY, ENRICHED_EMAIL, FULL_NAME
from tests.emulator.conftest import JANE, Client, KeyClient, error_code


def wait_until_over(client: Client, run_id: str) -> dict[str, Any]:
    for _ in range(200):
        answer: dict[str, Any] = client.poll(run_id).json()
        if answer["status"] in {"completed", "failed"}:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"run {run_id} did not end")


def test_sync(client: Client, emulator: Emulator) -> None:
    started = time.monotonic()
    answer = client.run(output_columns=[FULL_NAME, ENRICHED_EMAIL])
    assert time.monotonic() - started >= 0.05
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "mode": "sync",
            "status": "completed",
            "outputs": {FULL_NAME: "Jane Doe", ENRICHED_EMAIL: "jane.doe@acmecorp.com"},
            "credits": {"consumed": 12, "remaining": 65_788},
        },
    )
    assert client.get("/workspaces/ws_abc123").json()["credits"]["remaining"] == 65_788


def test_async(client: Client, emulator: Emulator) -> None:
    receipt = client.run(mode="async").json()
    run_id = receipt["run_id"]
    assert receipt == {
        "mode": "async",
        "run_id": run_id,
        "status": "queued",
        "poll_url": f"{emulator.base_url}/grids/grid_001/runs/{run_id}",
    }
    assert client.session.get(receipt["poll_url"], timeout=5).json()["run_id"] == run_id
    answer = wait_until_over(client, run_id)
    assert list(answer) == ["run_id", "status", "outputs", "credits", "started_at", "completed_at"]
    assert len(answer["outputs"]) == 10
    assert client.poll(run_id).json() == answer
    assert client.poll(run_id, grid_id="grid_002").status_code == 404
    (record,) = emulator.control.state()["runs"]
    assert record["polls"] == len([1 for seen in emulator.control.requests() if run_id in seen["path"]]) - 1
    assert record["submitted_at"] < record["started_at"] < record["completed_at"]
    assert (record["mode"], record["inputs"], record["credits_consumed"]) == ("async", JANE, 12)


def test_a_failed_run_is_answered_with_its_error_and_costs_nothing(
    client: Client, emulator: Emulator
) -> None:
    emulator.control.add_fault("run_fails", message="the site was down")
    error = {"code": "RUN_FAILED", "message": "the site was down"}
    answer = client.run()
    assert (answer.status_code, answer.json()) == (200, {"mode": "sync", "status": "failed", "error": error})
    poll = wait_until_over(client, client.submit())
    assert list(poll) == ["run_id", "status", "error", "started_at", "completed_at"]
    assert poll["error"] == error
    assert client.get("/workspaces/ws_abc123").json()["credits"]["remaining"] == 65_800


def test_the_body_is_checked(client: Client) -> None:
    url = client.base_url + "/grids/grid_001/run"
    assert error_code(client.session.post(url, data="{}", timeout=5)) == (400, "INVALID_REQUEST")
    assert error_code(client.run(inputs={})) == (400, "MISSING_REQUIRED_FIELD")
    assert error_code(client.run(inputs={FULL_NAME: 1})) == (422, "INVALID_COLUMN_TYPE")
    assert error_code(client.run(grid_id="grid_003")) == (404, "GRID_NOT_FOUND")
    refused = client.run(mode="async", webhook_url="https://localhost/")
    assert error_code(refused) == (422, "WEBHOOK_DELIVERY_FAILED")


@pytest.mark.parametrize("headers", [{"api_key": "wrong"}, {"workspace-id": ""}])
def test_running_needs_both_headers(client: Client, emulator: Emulator, headers: dict[str, str]) -> None:
    url = client.base_url + "/grids/grid_001/run"
    answer = client.session.post(url, json={"inputs": JANE}, headers=headers, timeout=5)
    assert answer.status_code in {400, 401}
    assert emulator.control.state()["runs_paid"] == 0


def test_credits_run_out(client: Client, emulator: Emulator) -> None:
    emulator.control.set_credits(25)
    statuses = [client.run(mode="async").status_code for _ in range(3)]
    assert statuses == [200, 200, 422]
    assert error_code(client.run(mode="async")) == (422, "INSUFFICIENT_CREDITS")
    state = emulator.control.state()
    assert state["runs_paid"] == 2
    assert state["credits"]["ws_abc123"]["remaining"] == 1
    emulator.control.set_credits(12)
    assert client.run(mode="async").status_code == 200


def test_the_quota_of_runs() -> None:
    with Emulator(run_limit=1, run_seconds=(0, 0)) as emulator:
        client = Client(emulator)
        assert client.run().status_code == 200
        assert error_code(client.run()) == (403, "RUN_LIMIT_EXCEEDED")


@pytest.mark.parametrize("text", ["李雷", "x" * 100_000, "\ud800", 'a"\\\n\x00'])
def test_any_text_goes_through(client: Client, text: str) -> None:
    answer = client.run(inputs={FULL_NAME: text, COMPANY: ""}, output_columns=[FULL_NAME, ENRICHED_EMAIL])
    assert answer.json()["outputs"][FULL_NAME] == text
    assert "@" in answer.json()["outputs"][ENRICHED_EMAIL]


def test_two_emulators_with_one_seed_agree_and_with_two_do_not() -> None:
    rows = [{FULL_NAME: f"Person {number}", COMPANY: "Acme"} for number in range(12)]

    def answers(seed: int) -> tuple[list[Any], list[str]]:
        with Emulator(seed=seed, run_seconds=(0, 0)) as emulator:
            client = Client(emulator)
            ids = [client.submit(inputs=row) for row in rows]
            return [client.poll(run_id).json()["outputs"] for run_id in ids], ids

    assert answers(1) == answers(1)
    (some, some_ids), (others, other_ids) = answers(1), answers(2)
    assert some != others
    assert set(some_ids).isdisjoint(other_ids)


def test_an_endless_run_ends_when_told(client: Client, emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends", times=2)
    failing, completing = client.submit(), client.submit()
    time.sleep(0.2)
    assert client.poll(failing).json()["status"] == "running"
    emulator.control.finish_run(failing, status="failed")
    emulator.control.finish_run(completing)
    assert client.poll(failing).json()["status"] == "failed"
    assert client.poll(completing).json()["status"] == "completed"
    with pytest.raises(ValueError, match="already"):
        emulator.control.finish_run(completing)
    with pytest.raises(ValueError, match="no run"):
        emulator.control.finish_run("run_nowhere")


def test_a_waiting_sync_request_is_answered_when_its_run_is_ended(client: Client, emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    answers: list[requests.Response] = []
    thread = threading.Thread(target=lambda: answers.append(client.run()))
    thread.start()
    while not (runs := emulator.control.state()["runs"]):
        time.sleep(0.01)
    emulator.control.finish_run(runs[0]["run_id"])
    thread.join(5)
    assert answers[0].json()["status"] == "completed"


def test_a_sync_run_goes_on_when_its_client_leaves(client: Client, emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    url = client.base_url + "/grids/grid_001/run"
    with pytest.raises(requests.ReadTimeout):
        client.session.post(url, json={"inputs": JANE}, timeout=0.2)
    state = emulator.control.state()
    assert state["runs"][0]["status"] == "running"
    assert state["credits"]["ws_abc123"]["remaining"] == 65_788
    emulator.control.reset()
    state = emulator.control.state()
    assert (state["runs"], state["credits"]["ws_abc123"]["remaining"]) == ([], 65_800)


@pytest.mark.parametrize("contract", ["v1.1.0", "workspace-key"])
def test_run_ids_are_never_handed_out_again_unless_a_seed_is_asked_for(contract: str) -> None:
    def ids(emulator: Emulator) -> list[str]:
        client = KeyClient(emulator) if contract == "workspace-key" else Client(emulator)
        return [client.submit(), client.submit()]

    def lives(**settings: Any) -> list[list[str]]:
        """The ids of two runs in a process, after its reset and in the process that follows it."""
        found = []
        for _ in range(2):
            with Emulator(contract=contract, **settings) as emulator:
                found.append(ids(emulator))
                emulator.control.reset()
                found.append(ids(emulator))
        return found

    assert len({run_id for life in lives() for run_id in life}) == 8
    assert len({run_id for life in lives(seed=0) for run_id in life}) == 2


def test_a_restart_changes_no_answer() -> None:
    def answer() -> Any:
        with Emulator(run_seconds=(0, 0)) as emulator:
            return Client(emulator).run().json()

    assert answer() == answer()
