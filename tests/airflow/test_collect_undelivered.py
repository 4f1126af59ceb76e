"""What was submitted and forgotten, and not delivered, is collected: once, without paying for anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_provider_bitscale import api
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.runs.undelivered import GIVEN_UP_AFTER
from airflow_provider_bitscale.webhooks import submission_events
from airflow_provider_bitscale.webhooks.assets import DELIVERY
from airflow_provider_bitscale.webhooks.callback_token import RECEIVER_PATH
from tests.airflow.conftest import Connect
from tests.airflow.undelivered import NOTHING, PATH, Airflow, receiving
from tests.support.clients import polls
from tests.support.processes import free_port

CONTRACTS = ("v1.1.0",)


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    with receiving() as made:
        yield made


def ended_run(emulator: Emulator, status: str = "completed") -> str:
    """Pay for a run that ends at once; its id."""
    run_id = running(emulator)
    emulator.control.finish_run(run_id, status)
    return run_id


def running(emulator: Emulator) -> str:
    emulator.control.add_fault("run_never_ends", times=1)
    return str(BitScaleHook().run_grid("grid_001", {FULL_NAME: "Jane Doe"}).run_id)


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_run_that_was_not_delivered_is_asked_for_once_and_delivered(
    emulator: Emulator, airflow: Airflow, status: str
) -> None:
    run_id = ended_run(emulator, status)
    airflow.submitted(run_id)
    assert airflow.collect() == {**NOTHING, "delivered": [run_id]}
    [delivery] = airflow.received
    assert (delivery.run_id, delivery.grid_id, delivery.run.status.value) == (run_id, "grid_001", status)
    assert delivery.run.outputs == BitScaleHook().get_run("grid_001", run_id).outputs
    polled = len(polls(emulator))
    assert airflow.collect() == NOTHING
    assert (len(polls(emulator)), polled, len(airflow.received)) == (2, 2, 1)


@pytest.mark.parametrize("spelled", ["COMPLETED", "success", "partially_completed"])
def test_a_run_whose_status_is_spelled_otherwise_is_delivered_as_documented(
    emulator: Emulator, airflow: Airflow, spelled: str
) -> None:
    run_id = ended_run(emulator)
    airflow.submitted(run_id)
    emulator.control.add_fault("reshape", on="get_run", set={"status": spelled})
    assert airflow.collect() == {**NOTHING, "delivered": [run_id]}
    assert airflow.received[0].payload["status"] == "completed"


def test_what_was_delivered_costs_no_request(emulator: Emulator, airflow: Airflow) -> None:
    for number, status in enumerate(["completed", "failed"]):
        airflow.submitted(f"run_{number}")
        airflow.delivered(f"run_{number}", status)
    assert airflow.collect() == NOTHING
    assert not emulator.control.requests()


def test_a_run_is_not_asked_for_before_its_time(emulator: Emulator, airflow: Airflow) -> None:
    run_id = ended_run(emulator)
    airflow.submitted(run_id, ago=100)
    assert airflow.collect(undelivered_for=110) == NOTHING
    assert airflow.collect(undelivered_for=90) == {**NOTHING, "delivered": [run_id]}


def test_a_run_that_has_not_ended_is_asked_for_again_the_next_time(
    emulator: Emulator, airflow: Airflow
) -> None:
    run_id = running(emulator)
    airflow.submitted(run_id)
    for asked in (1, 2):
        assert airflow.collect() == {**NOTHING, "open": [run_id]}
        assert len(polls(emulator)) == asked
    emulator.control.finish_run(run_id)
    # Whatever became of the event meanwhile.
    airflow.events.clear()
    assert airflow.collect() == {**NOTHING, "delivered": [run_id]}


def test_a_run_that_ends_and_is_delivered_meanwhile_is_not_asked_for_again(
    emulator: Emulator, airflow: Airflow
) -> None:
    run_id = running(emulator)
    airflow.submitted(run_id)
    airflow.collect()
    airflow.delivered(run_id)
    assert airflow.collect() == NOTHING
    assert len(polls(emulator)) == 1


def test_runs_of_another_grid_are_left_to_its_own_task(emulator: Emulator, airflow: Airflow) -> None:
    airflow.submitted(ended_run(emulator), grid_id="grid_002")
    assert airflow.collect() == NOTHING
    assert not polls(emulator)


def test_a_run_that_bitscale_does_not_know_does_not_keep_others_from_being_collected(
    emulator: Emulator, airflow: Airflow
) -> None:
    run_id = ended_run(emulator)
    airflow.submitted("run_unknown", ago=2000)
    airflow.submitted(run_id)
    assert airflow.collect() == {**NOTHING, "delivered": [run_id], "open": ["run_unknown"]}


@pytest.mark.parametrize("status", [400, 413])
def test_a_run_that_the_receiver_refuses_does_not_keep_others_from_being_collected(
    emulator: Emulator, airflow: Airflow, status: int
) -> None:
    refused, taken = ended_run(emulator), ended_run(emulator)
    airflow.submitted(refused, ago=2000)
    airflow.submitted(taken)
    airflow.refuses[refused] = status
    assert airflow.collect() == {**NOTHING, "delivered": [taken], "open": [refused]}


def test_an_id_that_no_header_can_carry_does_not_keep_others_from_being_collected(
    emulator: Emulator, airflow: Airflow
) -> None:
    odd, run_id = "run_\u20ac", ended_run(emulator)
    airflow.submitted(odd, ago=2000)
    airflow.submitted(run_id)
    answer = json.dumps({"run_id": odd, "status": "completed", "outputs": {}})
    emulator.control.add_fault("status", status=200, body=answer, times=1)
    assert airflow.collect() == {**NOTHING, "delivered": [run_id], "open": [odd]}


OUTAGES: dict[str, tuple[int, type[Exception], type[Exception]]] = {
    "the database is away": (503, api.TransportError, AirflowException),
    "the proxy is busy": (429, api.TransportError, AirflowException),
    "another secret": (401, api.ConfigurationError, AirflowFailException),
    "no receiver": (404, api.ConfigurationError, AirflowFailException),
    "a redirect": (302, api.ConfigurationError, AirflowFailException),
    "a page to sign in": (200, api.ConfigurationError, AirflowFailException),
}


@pytest.mark.parametrize(("status", "kind", "of_airflow"), OUTAGES.values(), ids=OUTAGES.keys())
def test_a_receiver_that_does_not_take_deliveries_loses_nothing(
    emulator: Emulator, airflow: Airflow, status: int, kind: type[Exception], of_airflow: type[Exception]
) -> None:
    first, second = ended_run(emulator), ended_run(emulator)
    airflow.submitted(first, ago=2000)
    airflow.submitted(second)
    airflow.refuses[second] = status
    with pytest.raises(kind, match=rf"at 127\.0\.0\.1 answered {status}") as caught:
        airflow.collect()
    assert isinstance(caught.value, of_airflow)
    airflow.refuses.clear()
    assert airflow.collect() == {**NOTHING, "delivered": [second]}
    assert [delivery.run_id for delivery in airflow.received] == [first, second]


def test_a_receiver_that_cannot_be_reached_is_an_error_that_tells_no_query(
    emulator: Emulator, airflow: Airflow
) -> None:
    airflow.submitted(ended_run(emulator))
    url = f"http://127.0.0.1:{free_port()}{RECEIVER_PATH}/bitscale_default?key=hidden"
    with pytest.raises(api.TransportError, match=r"at 127\.0\.0\.1 cannot be reached") as caught:
        airflow.collect(webhook_url=url)
    assert "hidden" not in str(caught.value)


def test_a_bitscale_that_refuses_the_key_loses_nothing(emulator: Emulator, airflow: Airflow) -> None:
    run_id = ended_run(emulator)
    airflow.submitted(run_id)
    emulator.control.add_fault("status", status=403, code="FORBIDDEN", times=1)
    with pytest.raises(api.PermissionDeniedError):
        airflow.collect()
    assert airflow.collect() == {**NOTHING, "delivered": [run_id]}


def test_a_run_is_given_up_after_30_days(emulator: Emulator, airflow: Airflow) -> None:
    run_id = running(emulator)
    airflow.submitted(run_id, ago=GIVEN_UP_AFTER - 5)
    assert airflow.collect()["open"] == [run_id]
    backlog = airflow.get("bitscale_undelivered")
    backlog["open"][run_id] -= 10
    airflow.set("bitscale_undelivered", backlog)
    assert airflow.collect() == {**NOTHING, "given_up": [run_id]}
    assert airflow.collect() == NOTHING


def test_many_events_are_read_in_pages(
    emulator: Emulator, airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission_events, "_PAGE", 2)
    run_ids = [ended_run(emulator) for _ in range(5)]
    for number, run_id in enumerate(run_ids):
        airflow.submitted(run_id, ago=2000 - number)
    for run_id in run_ids[:3]:
        airflow.delivered(run_id)
    assert airflow.collect() == {**NOTHING, "delivered": run_ids[3:]}


def test_events_that_somebody_else_made_are_passed_over(emulator: Emulator, airflow: Airflow) -> None:
    run_id = ended_run(emulator)
    airflow.submitted(run_id)
    for events in list(airflow.events.values()):
        for extra in ({}, {"bitscale_run_id": 7}, {DELIVERY: 7}, {DELIVERY: "[]"}, {DELIVERY: "no JSON"}):
            events.append(replace(events[0], extra=extra))
    for status in ("completed", "failed"):
        airflow.delivered("run_of_another_task", status)
    assert airflow.collect() == {**NOTHING, "delivered": [run_id]}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another connection's receiver": ({"webhook_url": f"http://127.0.0.1{PATH}_2"}, "does not lead to"),
    "no receiver": ({"webhook_url": "https://hooks.example.com/"}, "does not lead to"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_url_that_does_not_lead_to_the_receiver_is_refused(
    emulator: Emulator, airflow: Airflow, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(api.ConfigurationError, match=message):
        airflow.collect(**arguments)
    assert not emulator.control.requests()


def test_a_connection_without_a_webhook_secret_is_refused(airflow: Airflow, connect: Connect) -> None:
    connect(password="key", extra={"workspace_id": "ws_abc123"})
    with pytest.raises(api.ConfigurationError, match="has no webhook_secret"):
        airflow.collect()


@pytest.mark.parametrize("undelivered_for", [0, -1, "900", None])
def test_a_time_that_is_none_is_refused_when_the_dag_is_parsed(
    airflow: Airflow, undelivered_for: Any
) -> None:
    with pytest.raises(api.InvalidRequestError, match="task 'collect': undelivered_for must be a number"):
        airflow.collect(undelivered_for=undelivered_for)
