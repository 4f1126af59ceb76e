"""A batch pays for each row once, whatever becomes of the worker, the answers or the store."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api.retry import backoff
from airflow_provider_bitscale.batch import submissions
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME
from tests.support.batches import ONE_CONTRACT, Batch, names_paid, people, statuses, written
from tests.support.clients import polls, posts
from tests.support.hooks import connect
from tests.support.task_runs import Crash


@pytest.fixture(autouse=True)
def _connected(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, emulator)


def assert_each_once(manifest: dict[str, Any], rows: int) -> None:
    assert [row["id"] for row in written(manifest)] == list(range(rows))


@pytest.mark.parametrize(
    ("write", "keeps_last", "mode"),
    [
        (2, False, "async"), (2, True, "async"), (3, True, "async"), (4, True, "async"), (6, False, "async"),
        (3, True, "sync"), (4, False, "sync"),
    ],
)  # fmt: skip
def test_a_worker_killed_with_any_write_pays_for_no_row_twice(
    write: int,
    keeps_last: bool,
    mode: str,
    emulator: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = Batch(rows=people(30), segment_size=10, mode=mode, output_path=f"file://{tmp_path}")
    batch.crash(write, keeps_last=keeps_last)
    batch.move(monkeypatch, tmp_path / "elsewhere")
    # Nothing was sent of a segment that the head does not count yet.
    is_counted = json.loads(batch.store.values["bitscale_batch"])["opened"]
    ambiguous = batch.entries.count("") - len(_kept_results(batch)) if is_counted else 0
    manifest = batch.incomplete() if ambiguous else batch.attempt()
    assert_each_once(manifest, 30)
    assert max(names_paid(emulator).values()) == 1
    counts = statuses(manifest)
    assert counts["unknown"] == ambiguous
    assert counts["succeeded"] == 30 - ambiguous


@pytest.mark.parametrize(("write", "keeps_last"), [(3, True), (4, True), (6, False)])
def test_on_the_same_machine_a_retry_knows_what_a_killed_worker_has_sent(
    write: int, keeps_last: bool, emulator: Emulator, tmp_path: Path
) -> None:
    batch = Batch(rows=people(30), segment_size=10, output_path=f"file://{tmp_path}")
    batch.crash(write, keeps_last=keeps_last)
    assert "" in batch.entries
    manifest = batch.attempt()
    assert_each_once(manifest, 30)
    assert names_paid(emulator) == {f"Person {number}": 1 for number in range(30)}
    assert statuses(manifest) == {"succeeded": 30}


def _kept_results(batch: Batch) -> list[str]:
    """Rows whose answers are in the store."""
    values = {key: json.loads(text) for key, text in batch.store.values.items()}
    open_segments = [key for key, value in values.items() if "entries" in value]
    return [
        row
        for key, value in values.items()
        if any(key.startswith(f"{segment}_") for segment in open_segments)
        for row in value
    ]


def test_what_was_sent_had_been_announced_before(emulator: Emulator) -> None:
    batch = Batch(rows=people(40), segment_size=20)
    batch.attempt()
    numbers = {f"Person {number}": number for number in range(40)}
    announced: dict[int, float] = {}
    for at, key, value in batch.store.writes:
        for position, entry in enumerate(value.get("entries", ())):
            if entry == "":
                announced.setdefault(20 * int(key[-5:]) + position, at)
    arrived = {}
    for post in posts(emulator):
        [name] = [text for text in json.loads(post["body"])["inputs"].values() if text in numbers]
        arrived[numbers[name]] = post["at"]
    assert len(arrived) == 40
    assert [row for row, at in arrived.items() if announced[row] > at] == []


@ONE_CONTRACT
def test_a_retry_does_not_poll_what_an_earlier_try_has_finished(emulator: Emulator, tmp_path: Path) -> None:
    emulator.control.add_fault("run_never_ends", after=20, times=1)
    batch = Batch(rows=people(30), segment_size=10, batch_timeout=2, output_path=f"file://{tmp_path}")
    with pytest.raises(api.RunTimedOutError):
        batch.attempt()
    [stuck] = [run for run in emulator.control.state()["runs"] if run["status"] == "running"]
    emulator.control.finish_run(stuck["run_id"])
    unfinished = {entry for entry in batch.entries if entry}
    assert stuck["run_id"] in unfinished
    assert len(unfinished) <= 10
    before = len(polls(emulator))
    manifest = batch.attempt()
    assert statuses(manifest) == {"succeeded": 30}
    assert_each_once(manifest, 30)
    assert {poll["path"].rpartition("/")[2] for poll in polls(emulator)[before:]} == unfinished
    assert max(names_paid(emulator).values()) == 1


@ONE_CONTRACT
def test_a_run_given_up_at_the_deadline_is_collected_by_a_retry(emulator: Emulator, tmp_path: Path) -> None:
    emulator.control.add_fault("run_never_ends", times=3)
    batch = Batch(rows=people(6), segment_size=3, batch_timeout=1.5, output_path=f"file://{tmp_path}")
    with pytest.raises(api.RunTimedOutError) as caught:
        batch.attempt()
    assert "3 rows were left" in str(caught.value)
    assert not isinstance(caught.value, AirflowFailException), "a retry goes on"
    assert batch.pushed["manifest"]["counts"]["unknown"] == 3
    for run in emulator.control.state()["runs"]:
        if run["status"] == "running":
            emulator.control.finish_run(run["run_id"])
    assert statuses(batch.attempt()) == {"succeeded": 6}
    assert len(posts(emulator)) == 6


@ONE_CONTRACT
def test_a_retry_after_success_returns_the_same_and_polls_nothing(emulator: Emulator, tmp_path: Path) -> None:
    batch = Batch(rows=people(20), output_path=f"file://{tmp_path}")
    first = batch.attempt()
    runs = len(posts(emulator)) + len(polls(emulator))
    again = batch.attempt()
    varying = ("finished_at", "seconds")
    assert {k: v for k, v in first.items() if k not in varying} == {
        k: v for k, v in again.items() if k not in varying
    }
    assert len(posts(emulator)) + len(polls(emulator)) == runs


@ONE_CONTRACT
def test_a_clear_after_success_runs_again(emulator: Emulator, tmp_path: Path) -> None:
    batch = Batch(rows=people(5), output_path=f"file://{tmp_path}")
    first = batch.attempt()
    batch.clear()
    second = batch.attempt()
    assert first["batch_id"] != second["batch_id"]
    assert set(first["parts"]).isdisjoint(second["parts"])
    assert set(names_paid(emulator).values()) == {2}


@ONE_CONTRACT
def test_a_retry_with_other_rows_is_refused(emulator: Emulator) -> None:
    batch = Batch(rows=people(10))
    batch.crash(2)
    batch.arguments["rows"] = people(11)
    with pytest.raises(api.InvalidRequestError, match="delete the key 'bitscale_batch'") as caught:
        batch.attempt()
    assert isinstance(caught.value, AirflowFailException)
    batch.arguments |= {"rows": people(10), "fail_when_incomplete": False}
    batch.attempt()
    assert max(names_paid(emulator).values()) == 1


@ONE_CONTRACT
def test_rows_that_were_refused_before_anything_was_paid_may_be_changed(
    emulator: Emulator, tmp_path: Path
) -> None:
    a_file = tmp_path / "a file"
    a_file.write_text("in the way")
    batch = Batch(rows=people(3), output_path=f"file://{a_file}/below")
    with pytest.raises(api.InvalidRequestError, match="cannot be written"):
        batch.attempt()
    batch.arguments |= {"rows": people(4), "output_path": f"file://{tmp_path}"}
    assert statuses(batch.attempt()) == {"succeeded": 4}


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("lost_answer", "async"), ("server_error_after_work", "async"), ("half_json", "sync")],
)
def test_rows_whose_answer_was_lost_are_parked(
    kind: str, mode: str, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    # Answers that are lost, or cannot be read, are few among others that can.
    emulator.control.add_fault(kind, on="run_grid", after=1, times=3)
    batch = Batch(rows=people(10), mode=mode)
    manifest = batch.incomplete()
    assert statuses(manifest) == {"succeeded": 7, "unknown": 3}
    assert len(posts(emulator)) == 10
    assert max(names_paid(emulator).values()) == 1
    for row in written(manifest):
        assert (row["_error"] is None) == (row["_status"] == "succeeded")
    assert manifest["runs_without_credits"] >= 3
    assert "3 of 10 rows are missing: 3 unknown without a run id" in caplog.text
    batch.arguments["fail_when_incomplete"] = False
    batch.clear()
    assert statuses(batch.attempt()) == {"succeeded": 7, "unknown": 3}
    assert len(posts(emulator)) == 10


@ONE_CONTRACT
def test_who_prefers_to_pay_twice_has_them_submitted_again_and_is_told(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.control.add_fault("lost_answer", on="run_grid", times=3)
    manifest = Batch(rows=people(10), on_ambiguous_submit="resubmit").attempt()
    assert statuses(manifest) == {"succeeded": 10}
    assert sorted(names_paid(emulator).values())[-4:] == [1, 2, 2, 2]
    assert manifest["runs_without_credits"] >= 3
    assert "may be paid for twice" in caplog.text


@ONE_CONTRACT
def test_a_lost_answer_holds_submissions_for_a_while_where_it_may_be_paid_twice(emulator: Emulator) -> None:
    emulator.control.add_fault("lost_answer", on="run_grid", times=1)
    Batch(rows=people(2), on_ambiguous_submit="resubmit").attempt()
    first, second, _ = posts(emulator)
    assert second["at"] - first["at"] >= backoff(1)


@ONE_CONTRACT
def test_a_row_whose_answers_are_all_lost_is_not_paid_for_without_end(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submissions, "backoff", lambda failures: 0.01)
    emulator.control.add_fault("lost_answer", on="run_grid")
    manifest = Batch(rows=people(2), on_ambiguous_submit="resubmit").incomplete()
    assert statuses(manifest) == {"unknown": 2}
    assert len(posts(emulator)) == 6


@ONE_CONTRACT
def test_ambiguous_rows_are_submitted_again_by_a_retry_where_that_is_preferred(emulator: Emulator) -> None:
    batch = Batch(rows=people(20), on_ambiguous_submit="resubmit")
    batch.crash(2)
    ambiguous = batch.entries.count("")
    assert ambiguous
    assert statuses(batch.attempt()) == {"succeeded": 20}
    assert sum(names_paid(emulator).values()) <= 20 + ambiguous


@ONE_CONTRACT
def test_a_row_that_was_refused_is_still_refused_after_a_crash(emulator: Emulator, tmp_path: Path) -> None:
    emulator.control.add_fault("status", on="run_grid", status=400, code="BAD_ROW", times=2)
    emulator.control.add_fault("run_never_ends", times=1)
    batch = Batch(rows=people(8), max_failed_rows=2, batch_timeout=1.5, output_path=f"file://{tmp_path}")
    with pytest.raises(api.RunTimedOutError):
        batch.attempt()
    [stuck] = [run for run in emulator.control.state()["runs"] if run["status"] == "running"]
    emulator.control.finish_run(stuck["run_id"])
    assert statuses(batch.attempt()) == {"succeeded": 6, "failed": 2}


@ONE_CONTRACT
def test_a_killed_task_says_what_goes_on_and_a_retry_collects_it(emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    batch = Batch(rows=people(10))

    def kill() -> None:
        while len(posts(emulator)) < 10:
            time.sleep(0.02)
        time.sleep(0.1)
        assert batch.operator is not None
        batch.operator.on_kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(AirflowException, match="killed with 10 runs under way") as caught:
        batch.attempt()
    killer.join()
    assert not isinstance(caught.value, AirflowFailException)
    for run in emulator.control.state()["runs"]:
        emulator.control.finish_run(run["run_id"])
    assert statuses(batch.attempt()) == {"succeeded": 10}
    assert {run["inputs"][FULL_NAME] for run in emulator.control.state()["runs"]} == names_paid(
        emulator
    ).keys()
    assert len(posts(emulator)) == 10


@ONE_CONTRACT
def test_results_of_runs_that_are_answered_at_once_outlive_the_worker(
    emulator: Emulator, tmp_path: Path
) -> None:
    emulator.control.add_fault("latency", on="run_grid", after=15, seconds=1.5)
    batch = Batch(rows=people(20), mode="sync", output_path=f"file://{tmp_path}")

    def kill() -> None:
        while len(_kept_results(batch)) < 15:
            time.sleep(0.02)
        batch.store.last = 1

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(Crash):
        batch.attempt()
    killer.join()
    batch.store.last = None
    paid = sum(names_paid(emulator).values())
    kept = len(_kept_results(batch))
    manifest = batch.incomplete() if paid > kept else batch.attempt()
    assert max(names_paid(emulator).values()) == 1
    assert sum(names_paid(emulator).values()) == 20
    assert statuses(manifest) == {"succeeded": kept + 20 - paid, "unknown": paid - kept}
