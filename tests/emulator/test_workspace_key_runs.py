"""The contract with workspace keys over a real socket, what costs: runs and rotation."""

from __future__ import annotations

import threading
import time
from uuid import UUID

import pytest
import requests

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import (
    COMPANY,
    EMPLOYEES,
    ENRICHED_EMAIL,
    FULL_NAME,
    LABEL,
    LINKEDIN_URL,
)
from tests.emulator.conftest import JANE, Client, KeyClient, error_code

JANES_OUTPUTS = {
    ENRICHED_EMAIL: {"value": "jane.doe@acmecorp.com", "name": "Enriched Email"},
    LINKEDIN_URL: {"value": "https://linkedin.com/in/janedoe", "name": "LinkedIn URL"},
    LABEL: {"value": "Jane Doe | Acme Corp", "name": "Label"},
}


def test_sync(key_client: KeyClient, keyed: Emulator) -> None:
    started = time.monotonic()
    answer = key_client.run()
    assert time.monotonic() - started >= 0.05
    assert answer.status_code == 200
    assert answer.json() == {"mode": "sync", "status": "completed", "outputs": JANES_OUTPUTS}
    assert key_client.get("/workspace").json()["credits"]["remaining"] == 65_788


def test_async(key_client: KeyClient, keyed: Emulator) -> None:
    keyed.control.add_fault("run_never_ends")
    receipt = key_client.run(mode="async").json()
    request_id = receipt["request_id"]
    assert str(UUID(request_id)) == request_id
    assert receipt == {
        "mode": "async",
        "status": "running",
        "request_id": request_id,
        "poll_url": f"{keyed.base_url}/run/status/{request_id}",
    }
    polled = key_client.session.get(receipt["poll_url"], timeout=5).json()
    assert polled == {"mode": "async", "status": "running", "grid_id": "grid_001"}
    keyed.control.finish_run(request_id)
    assert key_client.poll(request_id).json() == {
        "mode": "async",
        "status": "completed",
        "grid_id": "grid_001",
        "outputs": JANES_OUTPUTS,
    }
    (record,) = keyed.control.state()["runs"]
    assert (record["run_id"], record["polls"], record["inputs"]) == (request_id, 2, JANE)
    assert (record["credits_consumed"], record["webhook_url"]) == (12, None)


def test_a_failed_run_tells_why_in_a_message(key_client: KeyClient, keyed: Emulator) -> None:
    keyed.control.add_fault("run_fails", message="the site was down")
    failed = {"status": "failed", "message": "the site was down"}
    assert key_client.run().json() == {"mode": "sync", **failed}
    polled = key_client.outcome(key_client.submit())
    assert polled == {"mode": "async", "grid_id": "grid_001", **failed}


def test_a_sync_run_that_takes_too_long_is_answered_as_running_and_goes_on(
    key_client: KeyClient, keyed: Emulator
) -> None:
    keyed.control.add_fault("run_never_ends")
    started = time.monotonic()
    answer = key_client.run()
    assert 0.3 <= time.monotonic() - started < 2
    receipt = answer.json()
    assert (answer.status_code, list(receipt)) == (200, ["mode", "status", "request_id", "poll_url"])
    assert (receipt["mode"], receipt["status"]) == ("sync", "running")
    keyed.control.finish_run(receipt["request_id"])
    polled = key_client.poll(receipt["request_id"]).json()
    assert (polled["mode"], polled["status"], polled["outputs"]) == ("sync", "completed", JANES_OUTPUTS)
    assert keyed.control.state()["runs_paid"] == 1


def test_a_sync_request_is_answered_when_its_run_is_ended_before_the_cut_off() -> None:
    with Emulator(contract="workspace-key") as emulator:
        emulator.control.add_fault("run_never_ends")
        answers: list[requests.Response] = []
        thread = threading.Thread(target=lambda: answers.append(KeyClient(emulator).run()))
        thread.start()
        while not (runs := emulator.control.state()["runs"]):
            time.sleep(0.01)
        emulator.control.finish_run(runs[0]["run_id"], status="failed")
        thread.join(5)
        assert answers[0].json()["status"] == "failed"


def test_v1_1_0_knows_no_cut_off() -> None:
    with Emulator(run_seconds=(0.3, 0.3), sync_cut_off=0.05) as emulator:
        assert Client(emulator).run().json()["status"] == "completed"


def test_a_reset_cuts_off_who_waits_for_a_run(key_client: KeyClient, keyed: Emulator) -> None:
    keyed.control.add_fault("run_never_ends")
    errors: list[Exception] = []

    def wait() -> None:
        try:
            key_client.run()
        except requests.ConnectionError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not keyed.control.state()["runs"]:
        time.sleep(0.01)
    keyed.control.reset()
    thread.join(5)
    assert len(errors) == 1


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        JANE,
        {"Full Name": "Jane Doe", "Company": "Acme Corp"},
        {"fullname": "Jane Doe"},
        {"full_name": " ", "company": ""},
    ],
)
def test_inputs_under_wrong_labels_run_blank_and_are_paid_for(
    key_client: KeyClient, keyed: Emulator, inputs: dict[str, str]
) -> None:
    answer = key_client.run(inputs=inputs)
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    values = {column: output["value"] for column, output in answer.json()["outputs"].items()}
    assert values.pop(LABEL).strip() == ""
    assert values == {ENRICHED_EMAIL: "No email found", LINKEDIN_URL: "No profile found"}
    state = keyed.control.state()
    (record,) = state["runs"]
    assert record["credits_consumed"] > 0
    assert state["credits"]["ws_abc123"]["remaining"] == 65_800 - record["credits_consumed"]
    assert not any(value.strip() for value in record["inputs"].values())


def test_an_enrichment_of_another_kind_misses_with_nothing(key_client: KeyClient) -> None:
    (size,) = key_client.run("grid_002", inputs={}).json()["outputs"].values()
    assert size == {"value": "", "name": "Size"}
    (size,) = key_client.run("grid_002", inputs={"domain": "acme.com"}).json()["outputs"].values()
    assert size["value"]


def test_any_value_is_taken_as_text(key_client: KeyClient, keyed: Emulator) -> None:
    inputs = {"full_name": 5, "company": ["a"], "employees": "many", "website": "none"}
    answer = key_client.run(inputs=inputs, output_columns=[EMPLOYEES, LABEL, FULL_NAME]).json()
    assert answer["outputs"] == {
        EMPLOYEES: {"value": "many", "name": "Employees"},
        LABEL: {"value": '5 | ["a"]', "name": "Label"},
        FULL_NAME: {"value": "5", "name": "Full Name"},
    }


def test_output_columns_choose_what_is_shown_not_what_is_paid(key_client: KeyClient, keyed: Emulator) -> None:
    assert key_client.run(output_columns=[]).json()["outputs"] == {}
    assert key_client.run(output_columns=[LABEL, COMPANY]).json()["outputs"] == {
        LABEL: JANES_OUTPUTS[LABEL],
        COMPANY: {"value": "Acme Corp", "name": "Company"},
    }
    assert [run["credits_consumed"] for run in keyed.control.state()["runs"]] == [12, 12]
    blank = key_client.run(inputs={"full_name": "Jane Doe"}, output_columns=[COMPANY]).json()["outputs"]
    assert blank == {COMPANY: {"value": "", "name": "Company"}}
    assert error_code(key_client.run(output_columns=["x"])) == (400, "UNKNOWN_COLUMN")


def test_both_contracts_answer_alike(key_client: KeyClient, client: Client) -> None:
    by_label, by_id = key_client.run().json()["outputs"], client.run().json()["outputs"]
    assert {column: by_id[column] for column in by_label} == {
        column: output["value"] for column, output in by_label.items()
    }


def test_a_webhook_is_ignored(key_client: KeyClient, keyed: Emulator) -> None:
    key_client.outcome(key_client.submit(webhook_url="https://a.example/", source_id="x"))
    time.sleep(0.05)
    assert keyed.control.state()["deliveries"] == []


def test_an_unknown_run(key_client: KeyClient) -> None:
    assert error_code(key_client.poll("run_1")) == (404, "RUN_NOT_FOUND")


def test_request_ids_come_from_the_seed() -> None:
    def ids(seed: int) -> list[str]:
        with Emulator(contract="workspace-key", seed=seed) as emulator:
            client = KeyClient(emulator)
            return [client.submit(), client.submit()]

    assert ids(1) == ids(1)
    assert len({*ids(1), *ids(2)}) == 4


def test_credits_run_out(key_client: KeyClient, keyed: Emulator) -> None:
    keyed.control.set_credits(12)
    assert key_client.run(mode="async").status_code == 200
    assert error_code(key_client.run(mode="async")) == (422, "INSUFFICIENT_CREDITS")


def test_the_quota_of_runs() -> None:
    with Emulator(contract="workspace-key", run_limit=1) as emulator:
        client = KeyClient(emulator)
        client.submit()
        assert error_code(client.run()) == (403, "RUN_LIMIT_EXCEEDED")


def test_a_rotation_kills_the_key_at_once_and_leaves_runs_alone(
    key_client: KeyClient, keyed: Emulator
) -> None:
    request_id = key_client.submit()
    answer = key_client.post("/api-key/rotate")
    assert (answer.status_code, list(answer.json())) == (200, ["api_key"])
    second = answer.json()["api_key"]
    assert second.startswith("sk-live-")
    assert second != keyed.api_key
    assert error_code(key_client.poll(request_id)) == (401, "INVALID_API_KEY")
    assert error_code(key_client.post("/api-key/rotate")) == (401, "INVALID_API_KEY")
    key_client.session.headers["X-API-KEY"] = second
    assert key_client.outcome(request_id)["status"] == "completed"
    third = key_client.post("/api-key/rotate").json()["api_key"]
    assert len({keyed.api_key, second, third}) == 3
    keyed.control.reset()
    assert key_client.get("/workspace").status_code == 401
    key_client.session.headers["X-API-KEY"] = keyed.api_key
    assert key_client.post("/api-key/rotate").json()["api_key"] == second


def test_a_sync_request_under_way_outlives_a_rotation(key_client: KeyClient, keyed: Emulator) -> None:
    keyed.control.add_fault("run_never_ends")
    answers: list[requests.Response] = []
    thread = threading.Thread(target=lambda: answers.append(key_client.run()))
    thread.start()
    while not (runs := keyed.control.state()["runs"]):
        time.sleep(0.01)
    KeyClient(keyed).post("/api-key/rotate")
    keyed.control.finish_run(runs[0]["run_id"])
    thread.join(5)
    assert answers[0].json()["outputs"] == JANES_OUTPUTS


@pytest.mark.parametrize("contract", ["workspace-key", "v1.1.0"])
def test_a_miss_is_a_text_of_a_completed_run(contract: str) -> None:
    with Emulator(contract=contract, miss_rate=1.0, run_seconds=(0, 0)) as emulator:
        client = KeyClient(emulator) if contract == "workspace-key" else Client(emulator)
        answer = client.run(output_columns=[ENRICHED_EMAIL, LINKEDIN_URL, LABEL]).json()
        assert answer["status"] == "completed"
        values = [item["value"] if isinstance(item, dict) else item for item in answer["outputs"].values()]
        assert values == ["No email found", "No profile found", "Jane Doe | Acme Corp"]
        assert emulator.control.state()["runs"][0]["credits_consumed"] == 12
