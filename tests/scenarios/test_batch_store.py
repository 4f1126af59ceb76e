"""The store of a batch freezes, refuses or loses something, or the worker is killed: no run is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_bitscale import api
from airflow_provider_bitscale.batch import prefetch, runner
from airflow_provider_bitscale.batch.store import journal_writer
from airflow_provider_bitscale.emulator import Emulator
from tests.support.batch_process import batch_arguments, write_rows
from tests.support.batches import ONE_CONTRACT, Batch, names_paid, people, statuses
from tests.support.clients import posts
from tests.support.hooks import connect
from tests.support.processes import environment
from tests.support.waiting import wait_until

pytestmark = ONE_CONTRACT


@pytest.fixture(autouse=True)
def _connected(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, emulator)


def refused(key: str) -> bool:
    """What a worker's SDK raises when its task was cleared, and the task instance has another id."""
    detail = {"status_code": 404, "message": "Server returned error", "detail": {"reason": "not_found"}}
    raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))


def away(key: str) -> bool:
    """What it raises when the API server cannot be reached."""
    detail = {"status_code": None, "message": "Connection refused", "exception_type": "ConnectError"}
    raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))


def wait_for_posts(emulator: Emulator, count: int) -> None:
    until = time.monotonic() + 20
    while len(posts(emulator)) < count and time.monotonic() < until:
        time.sleep(0.01)


def test_while_the_store_is_frozen_nothing_is_submitted_and_the_batch_goes_on_after_it(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "MOST_UNWRITTEN_SECONDS", 0.3)
    # Much is ready to be submitted when the store freezes, and leaves four at a time.
    monkeypatch.setattr(prefetch, "FEWEST_AHEAD", 40)
    batch = Batch(rows=people(40), max_in_flight=4)
    thawed = threading.Event()
    counted: list[int] = []

    def freeze() -> None:
        wait_for_posts(emulator, 10)
        batch.store.fails = lambda key: not thawed.wait(30)
        # What is submitted before it is noticed that nothing gets durable any more.
        time.sleep(1.5)
        counted.append(len(posts(emulator)))
        time.sleep(1.5)
        counted.append(len(posts(emulator)))
        batch.store.fails = lambda key: False
        thawed.set()

    freezing = threading.Thread(target=freeze)
    freezing.start()
    manifest = batch.attempt()
    freezing.join()
    assert counted[0] == counted[1] < 40
    assert statuses(manifest) == {"succeeded": 40}
    assert set(names_paid(emulator).values()) == {1}


@pytest.mark.parametrize("problem", [refused, away])
@pytest.mark.parametrize("left", ["beside the parts", "on the machine"])
def test_what_a_store_did_not_take_any_more_is_collected_by_the_next_try(
    problem: Any,
    left: str,
    emulator: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(journal_writer, "REFUSED_SECONDS", 0.5)
    monkeypatch.setattr(journal_writer, "AWAY_SECONDS", 0.5)
    output = tmp_path / "output"
    options = {"output_path": f"file://{output}"} if left == "beside the parts" else {}
    batch = Batch(rows=people(120), segment_size=20, max_in_flight=5, **options)
    emulator.control.add_fault("latency", on="run_grid", seconds=0.02)

    def refuse() -> None:
        wait_for_posts(emulator, 40)
        batch.store.fails = problem

    refusing = threading.Thread(target=refuse)
    refusing.start()
    with pytest.raises(AirflowRuntimeError, match="API_SERVER_ERROR"):
        batch.attempt()
    refusing.join()
    assert 40 <= names_paid(emulator).total() < 120
    runs = {run["run_id"] for run in emulator.control.state()["runs"]}
    assert {entry for entry in batch.entries if entry} < runs, "the store does not have them all"
    assert "Run ids that the task's state store did not take" in caplog.text

    batch.store.fails = lambda key: False
    if left == "beside the parts":
        assert list(output.glob("*-unsaved-*.json"))
        batch.move(monkeypatch, tmp_path / "elsewhere")
    manifest = batch.attempt()
    assert statuses(manifest) == {"succeeded": 120}
    assert names_paid(emulator) == {f"Person {number}": 1 for number in range(120)}
    assert list(output.glob("*-unsaved-*.json")) == []


def test_a_record_that_the_store_lost_is_not_paid_for_again(emulator: Emulator) -> None:
    batch = Batch(rows=people(30), segment_size=10)
    batch.crash(8)
    [lost] = [key for key in batch.store.values if key.endswith("_00000")]
    value = batch.store.values.pop(lost)
    before = len(posts(emulator))
    with pytest.raises(api.AmbiguousSubmitError, match=r"record of segment 0.*is not there"):
        batch.attempt()
    assert len(posts(emulator)) == before
    batch.store.values[lost] = value
    assert statuses(batch.attempt()) == {"succeeded": 30}
    assert set(names_paid(emulator).values()) == {1}


def test_a_worker_killed_in_the_middle_leaves_only_what_was_under_way_ambiguous(tmp_path: Path) -> None:
    table = write_rows(tmp_path / "batch", 15)
    with Emulator() as emulator:
        env = environment(table.parent, {"AIRFLOW_CONN_BITSCALE_DEFAULT": emulator.connection_json()})

        def worker() -> subprocess.Popen[str]:
            arguments = [sys.executable, *batch_arguments(table, "--max-in-flight", "5")]
            return subprocess.Popen(arguments, env=env, stdout=subprocess.PIPE, text=True)

        def entries() -> list[str | None]:
            [*segments] = (table.parent / "store").glob("bitscale_batch_*_00000.json")
            return [entry for segment in segments for entry in json.loads(segment.read_text())["entries"]]

        def all_kinds_are_there() -> bool:
            """Three runs whose ids are durable, two requests without an answer, and rows still to be sent."""
            return (
                len(posts(emulator)) == 5 and sum(map(bool, entries())) == 3 and entries().count("") > 2 + 3
            )

        emulator.control.add_fault("run_never_ends")
        emulator.control.add_fault("latency", on="run_grid", after=3, seconds=20.0)
        with worker() as killed:
            try:
                wait_until(all_kinds_are_there, lambda: f"rows of all kinds: {entries()}")
            finally:
                killed.kill()
        emulator.control.clear_faults()
        for run in emulator.control.state()["runs"]:
            emulator.control.finish_run(run["run_id"])
        with worker() as retry:
            printed, _ = retry.communicate(timeout=60)
        counts = json.loads(printed.splitlines()[-1])["manifest"]["counts"]
        assert (counts["succeeded"], counts["unknown"]) == (13, 2)
        assert names_paid(emulator) == {f"Person {number}": 1 for number in range(15)}
