"""A batch outlives what goes wrong on the way: refusals, storms, keys that change, a store that is away."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_bitscale import exceptions
from airflow_provider_bitscale.batch import submissions
from airflow_provider_bitscale.batch.store import journal_writer
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.contracts.workspace_key import key_after
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.operators.batch_session import BatchSession
from airflow_provider_bitscale.runs import polling
from tests.support.batches import ONE_CONTRACT, Batch, names_paid, people, statuses, written
from tests.support.clients import posts
from tests.support.hooks import connect
from tests.support.scripted import Answer, completed, connect_to, queued, scripted


@pytest.fixture(autouse=True)
def _connected(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, emulator)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "storm", "retry_after": 1, "for_seconds": 0.5}, id="429"),
        pytest.param({"kind": "status", "status": 429, "times": 1}, id="429 without a hint"),
    ],
)
def test_a_storm_costs_time_and_no_row(fault: dict[str, Any], emulator: Emulator) -> None:
    started = time.monotonic()
    emulator.control.add_fault(**fault, on="run_grid")
    assert statuses(Batch(rows=people(40)).attempt()) == {"succeeded": 40}
    assert set(names_paid(emulator).values()) == {1}
    assert time.monotonic() - started < 8


@ONE_CONTRACT
def test_an_api_that_is_not_there_for_a_while_is_waited_for(
    contract: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"run_seconds": (0.05, 0.1), "contract": contract}
    gone = Emulator(**settings).start()
    connect(monkeypatch, gone)
    port = int(gone.url.rpartition(":")[2])
    batch = Batch(rows=people(20))
    run = BatchSession.run

    back: list[Emulator] = []
    returning = threading.Timer(1.5, lambda: back.append(Emulator(port=port, **settings).start()))

    def run_without_an_api(session: BatchSession) -> dict[str, Any]:
        gone.close()
        returning.start()
        return run(session)

    # It is there for the checks, and goes before the first submission.
    monkeypatch.setattr(BatchSession, "run", run_without_an_api)
    try:
        assert statuses(batch.attempt()) == {"succeeded": 20}
        assert set(names_paid(back[0]).values()) == {1}
    finally:
        returning.join()
        back[0].close()


@pytest.mark.parametrize("contract", ["workspace-key"])
def test_a_key_rotated_in_the_middle_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with Emulator(contract="workspace-key", run_seconds=(0.5, 0.6)) as emulator:
        connect(monkeypatch, emulator)

        def rotate() -> None:
            wait_for_posts(emulator, 5)
            hook = BitScaleHook()
            assert hook.config.api_key == key_after(0)
            stored = json.loads(os.environ["AIRFLOW_CONN_BITSCALE_DEFAULT"])
            new = {**stored, "password": key_after(1)}
            monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", json.dumps(new))
            hook.rotate_api_key()

        rotation = threading.Thread(target=rotate)
        rotation.start()
        manifest = Batch(rows=people(30), max_in_flight=5).attempt()
        rotation.join()
        assert statuses(manifest) == {"succeeded": 30}
        assert set(names_paid(emulator).values()) == {1}
        assert 401 in {request["status"] for request in emulator.control.requests()}


@ONE_CONTRACT
def test_a_key_that_is_refused_for_good_fails_the_task_and_the_right_one_goes_on(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "UNAUTHORIZED_SECONDS", 1.0)
    emulator.control.add_fault("status", status=401, code="UNAUTHORIZED", after=15)
    batch = Batch(rows=people(30), max_in_flight=10)
    with pytest.raises(exceptions.AuthenticationError) as caught:
        batch.attempt()
    assert isinstance(caught.value, AirflowFailException)
    emulator.control.clear_faults()
    batch.clear()
    assert statuses(batch.attempt()) == {"succeeded": 30}
    assert set(names_paid(emulator).values()) == {1}


@ONE_CONTRACT
@pytest.mark.parametrize(
    ("on", "error"),
    [
        ("get_run", exceptions.UnreadableAcceptanceError),
        ("run_grid", exceptions.PermissionDeniedError),
    ],
)
def test_a_workspace_that_may_not_do_this_ends_the_batch(
    on: str, error: type[Exception], emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One refused poll may be about its run alone.
    monkeypatch.setattr(polling, "NOT_FOUND_SECONDS", 0.1)
    emulator.control.add_fault("status", on=on, status=403, code="FORBIDDEN")
    batch = Batch(rows=people(10), max_in_flight=5)
    with pytest.raises(error, match="403 FORBIDDEN"):
        batch.attempt()
    assert len(posts(emulator)) <= 3
    emulator.control.clear_faults()
    batch.clear()
    assert statuses(batch.attempt()) == {"succeeded": 10}
    assert set(names_paid(emulator).values()) == {1}


@ONE_CONTRACT
@pytest.mark.parametrize("on", ["run_grid", "get_run"])
def test_a_key_that_is_refused_once_by_a_hiccup_stops_no_batch(on: str, emulator: Emulator) -> None:
    emulator.control.add_fault("status", on=on, status=401, code="INVALID_API_KEY", times=1)
    assert statuses(Batch(rows=people(5)).attempt()) == {"succeeded": 5}
    assert set(names_paid(emulator).values()) == {1}


@ONE_CONTRACT
def test_a_key_that_is_refused_when_a_run_is_given_up_costs_its_row_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timeout = 2.0
    accepted: dict[str, float] = {}

    def submitted(number: int) -> Answer:
        accepted[f"run_{number}"] = time.monotonic()
        return queued(f"run_{number}")

    def polled(run_id: str, before: int) -> Answer:
        if run_id != "run_1":
            return completed(run_id)
        if time.monotonic() - accepted[run_id] < timeout - 0.2:
            return 200, {"run_id": run_id, "status": "running"}
        return 401, {"error": {"code": "INVALID_API_KEY", "message": "who are you"}}

    with scripted(submitted, polled) as script:
        connect_to(monkeypatch, script)
        manifest = Batch(rows=people(5), run_timeout=timeout).incomplete(exceptions.UnknownRowsError)
    assert statuses(manifest) == {"succeeded": 4, "unknown": 1}


@ONE_CONTRACT
@pytest.mark.parametrize(
    ("answer", "status"),
    [((400, {"error": {"code": "BAD_ROW"}}), "failed"), ((200, {"reference": "ref-17"}), "unknown")],
    ids=["refused", "accepted without an id"],
)
def test_an_answer_to_a_submission_ends_the_wait_for_one(
    answer: Answer, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submissions, "_PATIENCE_SECONDS", 0.4)
    busy: Answer = (429, {"error": {"code": "RATE_LIMITED"}})
    answers = [busy, answer, busy]

    def submitted(number: int) -> Answer:
        return answers[number] if number < len(answers) else queued(f"run_{number}")

    with scripted(submitted) as script:
        connect_to(monkeypatch, script)
        manifest = Batch(rows=people(3), max_failed_rows=1, fail_when_incomplete=False).attempt()
    assert statuses(manifest) == {"succeeded": 2, status: 1}


@ONE_CONTRACT
def test_polls_that_find_nothing_are_repeated(emulator: Emulator) -> None:
    emulator.control.add_fault("status", on="get_run", status=404, body="<html>no backend</html>", times=2)
    assert statuses(Batch(rows=people(10)).attempt()) == {"succeeded": 10}
    assert len(posts(emulator)) == 10


def test_a_run_that_is_not_found_at_first_is_waited_for(emulator: Emulator) -> None:
    emulator.control.add_fault("read_lag", polls=1)
    assert statuses(Batch(rows=people(10)).attempt()) == {"succeeded": 10}
    assert len(posts(emulator)) == 10


@ONE_CONTRACT
def test_a_run_that_stays_unknown_to_bitscale_is_unknown_alone_and_a_retry_asks_again(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "NOT_FOUND_SECONDS", 3.0)
    emulator.control.add_fault("read_lag", after=1, times=1, seconds=600)
    batch = Batch(rows=people(10))
    manifest = batch.incomplete(exceptions.UnknownRowsError)
    assert statuses(manifest) == {"succeeded": 9, "unknown": 1}
    [row] = [row for row in written(manifest) if row["_status"] == "unknown"]
    assert row["_run_id"]
    assert "404" in row["_error"]
    emulator.control.clear_faults()


@ONE_CONTRACT
def test_without_a_store_nothing_is_submitted(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_writer, "AWAY_SECONDS", 1.0)
    batch = Batch(rows=people(10))
    batch.store.fails = lambda key: key != "bitscale_batch"
    with pytest.raises(ConnectionError):
        batch.attempt()
    assert posts(emulator) == []
    batch.store.fails = lambda key: False
    assert statuses(batch.attempt()) == {"succeeded": 10}


@ONE_CONTRACT
def test_a_store_that_goes_away_for_a_while_is_waited_for(emulator: Emulator) -> None:
    batch = Batch(rows=people(12), max_in_flight=4)
    # The head and the first rows are written; what BitScale accepted of them is not, five times.
    to_come = [False] * 3 + [True] * 5
    batch.store.fails = lambda key: bool(to_come) and to_come.pop(0)
    assert statuses(batch.attempt()) == {"succeeded": 12}
    assert set(names_paid(emulator).values()) == {1}
    assert not to_come


@ONE_CONTRACT
def test_a_progress_value_that_cannot_be_kept_stops_no_batch(emulator: Emulator) -> None:
    batch = Batch(rows=people(5))
    batch.store.fails = lambda key: key == "bitscale_batch_progress"
    assert statuses(batch.attempt()) == {"succeeded": 5}


def wait_for_posts(emulator: Emulator, count: int) -> None:
    until = time.monotonic() + 5
    while len(posts(emulator)) < count and time.monotonic() < until:
        time.sleep(0.01)
