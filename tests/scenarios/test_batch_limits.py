"""A batch stops at its caps, collects what it has paid for, and says what it has left out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.observability import stats
from pytest_mock import MockerFixture

from airflow_provider_bitscale import api, exceptions
from airflow_provider_bitscale.batch import runner
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.runs import run_times
from tests.support.batches import ONE_CONTRACT, Batch, names_paid, people, statuses, written
from tests.support.clients import polls, posts
from tests.support.hooks import connect

DEAREST_RUN = 16


@pytest.fixture(autouse=True)
def _connected(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, emulator)


def credits_spent(emulator: Emulator) -> int:
    return sum(run["credits_consumed"] for run in emulator.control.state()["runs"])


@ONE_CONTRACT
@pytest.mark.parametrize("mode", ["async", "sync"])
def test_a_cap_on_credits_holds(mode: str, emulator: Emulator) -> None:
    manifest = Batch(rows=people(25), max_credits="120", mode=mode, segment_size=7).attempt()
    assert manifest["stopped_by"] == "max_credits"
    assert 120 - 2 * DEAREST_RUN < credits_spent(emulator) <= 120
    assert manifest["credits"] == credits_spent(emulator)
    counts = statuses(manifest)
    assert counts["succeeded"] == len(posts(emulator))
    assert counts["not_submitted"] == 25 - counts["succeeded"]
    assert [row["id"] for row in written(manifest)] == list(range(25))


@ONE_CONTRACT
def test_what_an_earlier_try_has_spent_counts(emulator: Emulator, tmp_path: Path) -> None:
    emulator.control.add_fault("run_never_ends", after=1, times=1)
    batch = Batch(
        rows=people(12), max_credits=70, batch_timeout=2.5, segment_size=5, output_path=f"file://{tmp_path}"
    )
    with pytest.raises(api.RunTimedOutError):
        batch.attempt()
    [stuck] = [run for run in emulator.control.state()["runs"] if run["status"] == "running"]
    emulator.control.finish_run(stuck["run_id"])
    batch.arguments["batch_timeout"] = None
    manifest = batch.attempt()
    assert manifest["stopped_by"] == "max_credits"
    assert credits_spent(emulator) <= 70
    assert manifest["credits"] == credits_spent(emulator)
    assert manifest["counts"]["unknown"] == 0


@pytest.mark.parametrize("contract", ["workspace-key"])
def test_a_cap_that_cannot_be_kept_is_refused_before_anything_is_asked(emulator: Emulator) -> None:
    with pytest.raises(exceptions.UnsupportedError, match="max_credits"):
        Batch(rows=people(2), max_credits=10).attempt()
    assert emulator.control.requests() == []


@pytest.mark.parametrize("mode", ["async", "sync"])
def test_without_credits_in_the_middle_the_rest_is_left_out(mode: str, emulator: Emulator) -> None:
    emulator.control.set_credits(150)
    batch = Batch(rows=people(60), mode=mode, segment_size=4, max_in_flight=5)
    manifest = batch.incomplete()
    assert manifest["stopped_by"] == "insufficient_credits"
    counts = statuses(manifest)
    assert counts["succeeded"] == len(emulator.control.state()["runs"]) >= 150 // DEAREST_RUN
    assert counts["not_submitted"] == 60 - counts["succeeded"]
    assert [row["id"] for row in written(manifest)] == list(range(60))
    emulator.control.set_credits(10_000)
    batch.clear()
    assert statuses(batch.attempt()) == {"succeeded": 60}
    assert set(names_paid(emulator).values()) == {1}


@ONE_CONTRACT
def test_without_any_credits_the_task_fails(emulator: Emulator) -> None:
    emulator.control.set_credits(0)
    batch = Batch(rows=people(20), segment_size=5)
    with pytest.raises(exceptions.InsufficientCreditsError):
        batch.attempt()
    assert names_paid(emulator) == {}
    emulator.control.set_credits(10_000)
    assert statuses(batch.attempt()) == {"succeeded": 20}


@ONE_CONTRACT
def test_runs_of_later_segments_are_collected_though_no_credits_are_left(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try that goes on has runs of many segments in flight, and knows them all before it submits."""
    emulator.control.add_fault("run_never_ends")
    batch = Batch(rows=people(12), segment_size=2, batch_timeout=1.8, output_path=f"file://{tmp_path}")
    with pytest.raises(api.RunTimedOutError):
        batch.attempt()
    for run in emulator.control.state()["runs"]:
        emulator.control.finish_run(run["run_id"])
    # As if the first two rows had been put back, and were to be submitted again, when the worker died.
    first = min(key for key in batch.store.values if key.endswith("_00000"))
    batch.store.values[first] = json.dumps({"entries": [None, None], "chunks": 0})
    batch.move(monkeypatch, tmp_path / "elsewhere")
    collectable = sum(map(bool, batch.entries))
    emulator.control.set_credits(0)
    batch.arguments["batch_timeout"] = None
    manifest = batch.incomplete()
    assert manifest["stopped_by"] == "insufficient_credits"
    assert statuses(manifest) == {"succeeded": collectable, "not_submitted": 12 - collectable}


def test_at_the_quota_of_runs_the_rest_is_left_out(monkeypatch: pytest.MonkeyPatch, contract: str) -> None:
    with Emulator(run_limit=13, run_seconds=(0.05, 0.1), contract=contract) as emulator:
        connect(monkeypatch, emulator)
        batch = Batch(rows=people(30), segment_size=6)
        manifest = batch.incomplete()
        assert manifest["stopped_by"] == "run_limit_exceeded"
        assert statuses(manifest) == {"succeeded": 13, "not_submitted": 17}
        batch.clear()
        batch.arguments["fail_when_incomplete"] = False
        assert statuses(batch.attempt()) == {"succeeded": 13, "not_submitted": 17}
        batch.clear()
        with pytest.raises(exceptions.RunLimitExceededError):
            batch.attempt()


@pytest.mark.parametrize(
    ("allowed", "failing", "ends_well"), [("10%", 3, True), (3, 3, True), ("10%", 4, False), (0, 1, False)]
)
def test_rows_fail_alone_up_to_a_limit(
    allowed: Any, failing: int, ends_well: bool, emulator: Emulator, tmp_path: Path
) -> None:
    emulator.control.add_fault("run_fails", message="no such person", times=failing)
    batch = Batch(rows=people(30), max_failed_rows=allowed, output_path=f"file://{tmp_path}")
    if ends_well:
        manifest = batch.attempt()
        assert manifest["stopped_by"] is None
        assert "manifest" not in batch.pushed
    else:
        with pytest.raises(exceptions.TooManyFailedRowsError, match="no such person") as caught:
            batch.attempt()
        assert isinstance(caught.value, AirflowFailException)
        manifest = batch.pushed["manifest"]
        assert manifest["stopped_by"] == (None if isinstance(allowed, str) else "max_failed_rows")
        assert manifest["manifest_path"] in str(caught.value)
    counts = statuses(manifest)
    assert counts["failed"] == failing
    assert counts["succeeded"] + failing == len(posts(emulator)) == 30 - counts["not_submitted"]
    assert not ((ends_well or isinstance(allowed, str)) and counts["not_submitted"])
    errors = [row["_error"] for row in written(manifest) if row["_status"] == "failed"]
    assert [error.endswith("no such person") for error in errors] == [True] * failing


@ONE_CONTRACT
def test_too_many_failures_end_the_paying_until_more_are_allowed(emulator: Emulator, tmp_path: Path) -> None:
    emulator.control.add_fault("run_fails", times=3)
    batch = Batch(
        rows=people(30), max_failed_rows=1, max_in_flight=5, segment_size=4, output_path=f"file://{tmp_path}"
    )
    with pytest.raises(exceptions.TooManyFailedRowsError):
        batch.attempt()
    paid = len(posts(emulator))
    assert paid < 15
    counts = statuses(batch.pushed["manifest"])
    assert counts["not_submitted"] == 30 - paid
    batch.clear()
    with pytest.raises(exceptions.TooManyFailedRowsError):
        batch.attempt()
    assert len(posts(emulator)) == paid, "a clear alone pays for nothing"
    batch.clear()
    batch.arguments["max_failed_rows"] = 3
    manifest = batch.attempt()
    assert statuses(manifest) == {"succeeded": 27, "failed": 3}
    assert set(names_paid(emulator).values()) == {1}


@ONE_CONTRACT
def test_too_many_failures_weigh_more_than_a_cap(emulator: Emulator) -> None:
    emulator.control.set_credits(4 * DEAREST_RUN)
    emulator.control.add_fault("run_fails")
    batch = Batch(rows=people(60), max_failed_rows=2)
    with pytest.raises(exceptions.TooManyFailedRowsError):
        batch.attempt()


@ONE_CONTRACT
def test_rows_that_failed_can_be_run_by_another_batch(emulator: Emulator, tmp_path: Path) -> None:
    emulator.control.add_fault("run_fails", times=3)
    first = Batch(rows=people(20), max_failed_rows=3, output_path=f"file://{tmp_path}").attempt()
    failed = [row["id"] for row in written(first) if row["_status"] == "failed"]
    second = Batch(retry_failed_from=first["manifest_path"], output_path=f"file://{tmp_path}").attempt()
    assert second["rows"] == 3
    assert [row["id"] for row in written(second)] == failed
    assert statuses(second) == {"succeeded": 3}
    assert len(posts(emulator)) == 23


@ONE_CONTRACT
@pytest.mark.parametrize("given", [None, {"Full Name": "person", "Company": "firm"}])
def test_rows_of_an_earlier_batch_are_read_by_the_inputs_they_had_there(
    given: dict[str, str] | None, emulator: Emulator, tmp_path: Path
) -> None:
    emulator.control.add_fault("run_fails", times=2)
    # Fields that no input is named like, and one that is, and is none.
    rows = [{"person": f"Ada {n}", "firm": "Engines", "Company": "not this"} for n in range(4)]
    folder = f"file://{tmp_path}"
    inputs = {"Full Name": "person", "Company": "firm"}
    first = Batch(rows=rows, input_fields=inputs, max_failed_rows=2, output_path=folder).attempt()
    assert first["inputs"] == inputs
    second = Batch(retry_failed_from=first["manifest_path"], input_fields=given, output_path=folder).attempt()
    assert statuses(second) == {"succeeded": 2}
    assert second["inputs"] == inputs, "for a third batch"
    sent = [sorted(json.loads(post["body"])["inputs"].values()) for post in posts(emulator)]
    assert sorted(sent) == sorted([*([f"Ada {n}", "Engines"] for n in range(4)), *sent[4:]])
    assert len(sent) == 6


@ONE_CONTRACT
@pytest.mark.parametrize(
    ("given", "again"), [(None, ["NULL", "-"]), (["-"], ["-"])], ids=["none", "others than in the manifest"]
)
def test_null_values_of_an_earlier_batch_hold_for_its_rows(
    given: list[str] | None, again: list[str], emulator: Emulator, tmp_path: Path
) -> None:
    emulator.control.add_fault("run_fails", times=1)
    rows = [{"Full Name": "Ada", "Company": "NULL"}, {"Full Name": "Grace", "Company": "NULL"}]
    folder = f"file://{tmp_path}"
    first = Batch(rows=rows, null_values=["NULL", "-"], max_failed_rows=1, output_path=folder).attempt()
    assert first["null_values"] == ["NULL", "-"]
    second = Batch(retry_failed_from=first["manifest_path"], null_values=given, output_path=folder).attempt()
    assert second["null_values"] == again
    sent = [list(json.loads(post["body"])["inputs"].values()) for post in posts(emulator)]
    assert ["NULL" in values for values in sent] == [False, False, "NULL" not in again]


@ONE_CONTRACT
def test_inputs_of_a_retry_replace_those_of_the_manifest(emulator: Emulator, tmp_path: Path) -> None:
    emulator.control.add_fault("run_fails", times=1)
    rows = [{"person": "Ada", "first": "Grace"}, {"person": "Alan", "first": "Mary"}]
    folder = f"file://{tmp_path}"
    first = Batch(
        rows=rows, input_fields={"Full Name": "person"}, max_failed_rows=1, output_path=folder
    ).attempt()
    Batch(retry_failed_from=first["manifest_path"], input_fields={"Full Name": "first"}).attempt()
    [again] = json.loads(posts(emulator)[2]["body"])["inputs"].values()
    assert again in ("Grace", "Mary")


@ONE_CONTRACT
def test_a_deadline_submits_no_more_and_a_retry_goes_on(emulator: Emulator, tmp_path: Path) -> None:
    batch = Batch(
        rows=people(30), batch_timeout=1.5, max_in_flight=3, segment_size=4, output_path=f"file://{tmp_path}"
    )
    with pytest.raises(api.RunTimedOutError) as caught:
        batch.attempt()
    manifest = batch.pushed["manifest"]
    assert manifest["stopped_by"] == "deadline"
    counts = statuses(manifest)
    assert counts["not_submitted"] > 0
    left = counts["not_submitted"] + counts["unknown"]
    assert f"{left} rows were left" in str(caught.value)
    batch.arguments |= {"batch_timeout": None, "max_in_flight": None}
    assert statuses(batch.attempt()) == {"succeeded": 30}
    assert set(names_paid(emulator).values()) == {1}


@ONE_CONTRACT
def test_a_last_poll_that_finds_everything_is_a_success(emulator: Emulator) -> None:
    # The first poll of any run but the first, after a second, would come too late.
    manifest = Batch(rows=people(10), batch_timeout=1.8).attempt()
    assert statuses(manifest) == {"succeeded": 10}
    assert manifest["stopped_by"] is None


@ONE_CONTRACT
def test_a_deadline_does_not_wait_for_a_pause_that_bitscale_asks_for(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runner, "LAST_POLLS_SECONDS", 1.0)
    emulator.control.add_fault("run_never_ends")
    # The first run is understood, and others are submitted before one is polled again.
    monkeypatch.setattr(run_times, "FIRST_POLL", 1.0)
    emulator.control.add_fault("storm", retry_after=120, on="get_run", after=1)
    batch = Batch(rows=people(20), batch_timeout=2, max_in_flight=5, output_path=f"file://{tmp_path}")
    began = time.monotonic()
    with pytest.raises(api.RunTimedOutError):
        batch.attempt()
    assert time.monotonic() - began < 10
    counts = statuses(batch.pushed["manifest"])
    assert counts["unknown"] == 5, "they are collected by a retry"
    assert counts["not_submitted"] == 15


def test_a_run_that_never_ends_is_given_up_alone_and_a_retry_asks_again(
    emulator: Emulator, tmp_path: Path
) -> None:
    emulator.control.add_fault("run_never_ends", times=1)
    batch = Batch(rows=people(20), run_timeout=1.5, segment_size=5, output_path=f"file://{tmp_path}")
    with pytest.raises(exceptions.UnknownRowsError, match="1 unknown with a run id") as caught:
        batch.attempt()
    assert not isinstance(caught.value, AirflowFailException)
    manifest = batch.pushed["manifest"]
    assert statuses(manifest) == {"succeeded": 19, "unknown": 1}
    [row] = [row for row in written(manifest) if row["_status"] == "unknown"]
    [stuck] = [run for run in emulator.control.state()["runs"] if run["status"] == "running"]
    assert row["_run_id"] == stuck["run_id"]
    assert "running" in row["_error"].lower()
    assert manifest["runs_without_credits"] >= 1
    emulator.control.finish_run(stuck["run_id"])
    before = len(polls(emulator))
    assert statuses(batch.attempt()) == {"succeeded": 20}
    assert len(posts(emulator)) == 20
    assert len(polls(emulator)) - before <= 6, "finished segments are not asked for again"


@ONE_CONTRACT
def test_runs_that_never_end_are_left_where_rows_may_be_missing(emulator: Emulator, tmp_path: Path) -> None:
    emulator.control.add_fault("run_never_ends", times=1)
    batch = Batch(
        rows=people(5), run_timeout=1.5, fail_when_incomplete=False, output_path=f"file://{tmp_path}"
    )
    assert statuses(batch.attempt()) == {"succeeded": 4, "unknown": 1}
    batch.clear()
    assert statuses(batch.attempt()) == {"succeeded": 5}, "cleared after it had succeeded, it runs again"


@ONE_CONTRACT
@pytest.mark.parametrize("fail_when_incomplete", [True, False])
def test_a_batch_of_which_nothing_succeeded_fails(emulator: Emulator, fail_when_incomplete: bool) -> None:
    emulator.control.add_fault("run_fails", message="no such person")
    batch = Batch(rows=people(5), max_failed_rows="100%", fail_when_incomplete=fail_when_incomplete)
    assert statuses(batch.incomplete()) == {"failed": 5}


@ONE_CONTRACT
def test_a_cap_on_credits_that_is_reached_is_a_success_with_a_warning(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    counts = statuses(Batch(rows=people(25), max_credits=120).attempt())
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    left_out = counts["not_submitted"]
    assert f"{left_out} of 25 rows are missing: {left_out} not submitted (max_credits)" in warnings


@ONE_CONTRACT
def test_a_share_of_failures_ends_the_paying_from_ten_on(emulator: Emulator) -> None:
    emulator.control.add_fault("run_fails")
    batch = Batch(rows=people(60), max_in_flight=1, max_failed_rows="0%")
    with pytest.raises(exceptions.TooManyFailedRowsError):
        batch.attempt()
    assert statuses(batch.pushed["manifest"]) == {"failed": 10, "not_submitted": 50}


@ONE_CONTRACT
def test_a_progress_that_cannot_be_told_costs_no_result(
    emulator: Emulator, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    mocker.patch.object(stats, "gauge", side_effect=OverflowError("no such metric"))
    assert statuses(Batch(rows=people(3)).attempt()) == {"succeeded": 3}
    assert "The progress of the batch could not be reported" in caplog.text
