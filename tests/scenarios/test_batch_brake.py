"""A batch stops, red, where BitScale's answers are not understood; what was accepted is never sent again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_bitscale import api, exceptions
from airflow_provider_bitscale.batch.plan import brake
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.runs import polling
from tests.support.batches import ONE_CONTRACT, Batch, names_paid, people, statuses, written
from tests.support.clients import posts
from tests.support.hooks import connect
from tests.support.scripted import Answer, completed, connect_to, queued, scripted


@pytest.fixture(autouse=True)
def _connected(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, emulator)


def stopped(batch: Batch) -> dict[str, Any]:
    """The manifest of a batch that stops for what BitScale answers."""
    with pytest.raises(exceptions.UnreadableAcceptanceError) as caught:
        batch.attempt()
    assert isinstance(caught.value, AirflowFailException)
    manifest: dict[str, Any] = batch.pushed["manifest"]
    assert manifest["stopped_by"] == "unreadable_answers"
    return manifest


def drop_ids(emulator: Emulator, **options: Any) -> None:
    """Answers to submissions name no run."""
    emulator.control.add_fault(
        "reshape",
        on="run_grid",
        drop=["run_id", "request_id", "poll_url"],
        set={"reference": "ref-17"},
        **options,
    )


@pytest.mark.parametrize("policy", ["park", "resubmit"])
def test_the_first_acceptances_that_cannot_be_read_stop_a_batch(
    policy: str, emulator: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drop_ids(emulator)
    batch = Batch(rows=people(50), on_ambiguous_submit=policy, output_path=f"file://{tmp_path}")
    manifest = stopped(batch)
    assert statuses(manifest) == {"unknown": 3, "not_submitted": 47}
    assert len(posts(emulator)) == 3
    errors = [row["_error"] for row in written(manifest) if row["_status"] == "unknown"]
    assert ["ref-17" in error for error in errors] == [True] * 3

    emulator.control.clear_faults()
    more = Batch(retry_failed_from=manifest["manifest_path"], on_ambiguous_submit="resubmit")
    assert statuses(more.attempt()) == {"succeeded": 47}
    assert "3 unknown rows are left out: BitScale accepted them" in caplog.text

    batch.clear()
    assert statuses(batch.incomplete()) == {"unknown": 3, "succeeded": 47}
    assert sorted(names_paid(emulator).values()) == [1] * 3 + [2] * 47, "one batch each for the others"


@ONE_CONTRACT
def test_an_acceptance_that_could_not_be_read_is_not_sent_again_by_a_retry(
    emulator: Emulator, tmp_path: Path
) -> None:
    drop_ids(emulator, after=1, times=1)
    emulator.control.add_fault("run_never_ends", after=2, times=1)
    batch = Batch(
        rows=people(8),
        on_ambiguous_submit="resubmit",
        batch_timeout=4,
        segment_size=8,
        output_path=f"file://{tmp_path}",
    )
    with pytest.raises(api.RunTimedOutError):
        batch.attempt()
    [stuck] = [run for run in emulator.control.state()["runs"] if run["status"] == "running"]
    emulator.control.finish_run(stuck["run_id"])
    batch.arguments["batch_timeout"] = None
    manifest = batch.incomplete()
    assert statuses(manifest) == {"succeeded": 7, "unknown": 1}
    assert "ref-17" in next(row["_error"] for row in written(manifest) if row["_error"])
    assert set(names_paid(emulator).values()) == {1}
    assert len(posts(emulator)) == 8


@ONE_CONTRACT
def test_a_few_acceptances_among_others_that_cannot_be_read_cost_their_rows_alone(
    emulator: Emulator,
) -> None:
    drop_ids(emulator, after=1, times=5)
    manifest = Batch(rows=people(30)).incomplete()
    assert statuses(manifest) == {"succeeded": 25, "unknown": 5}
    assert manifest["stopped_by"] is None


@ONE_CONTRACT
def test_twenty_in_a_row_stop_a_batch_later(emulator: Emulator) -> None:
    drop_ids(emulator, after=2)
    manifest = stopped(Batch(rows=people(40), max_in_flight=1))
    assert statuses(manifest) == {"succeeded": 2, "unknown": 20, "not_submitted": 18}


@ONE_CONTRACT
@pytest.mark.parametrize("mode", ["async", "sync"])
def test_a_batch_begins_with_one_run(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted_before_first_poll: list[int] = []

    def polled(run_id: str, before: int) -> Answer:
        submitted_before_first_poll.append(len(script.submissions))
        return completed(run_id)

    with scripted(polled=polled) as script:
        connect_to(monkeypatch, script)
        assert statuses(Batch(rows=people(20), mode=mode).attempt()) == {"succeeded": 20}
    assert submitted_before_first_poll[0] == 1
    assert len(script.submissions) == 20


@ONE_CONTRACT
@pytest.mark.parametrize(
    "answer",
    [
        {"requestId": "r-17", "state": "accepted"},
        {"data": {"run_id": "r-17", "status": "queued"}},
        [{"run_id": "r-17"}],
    ],
    ids=["another name", "wrapped", "a list"],
)
def test_an_id_that_is_spelled_otherwise_stops_a_batch_if_no_poll_by_it_is_understood(
    answer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(brake, "TRIAL_SECONDS", 2.0)
    works = False

    def polled(run_id: str, before: int) -> Answer:
        return completed(run_id) if works else None

    def submitted(number: int) -> Answer:
        return (200, answer) if number == 0 else queued(f"run_{number}")

    with scripted(submitted, polled) as script:
        connect_to(monkeypatch, script)
        batch = Batch(rows=people(30), output_path=f"file://{tmp_path}")
        manifest = stopped(batch)
        assert statuses(manifest) == {"unknown": 1, "not_submitted": 29}
        assert written(manifest)[0]["_run_id"] == "r-17"
        assert "r-17" in written(manifest)[0]["_error"]
        assert "Answered: keys" in written(manifest)[0]["_error"], "which may tell which run is meant"
        assert len(script.submissions) == 1
        works = True
        batch.clear()
        manifest = batch.attempt()
        assert statuses(manifest) == {"succeeded": 30}
        assert written(manifest)[0]["_run_id"] == "r-17"
        assert len(script.submissions) == 30


@ONE_CONTRACT
def test_an_id_that_is_spelled_as_documented_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brake, "TRIAL_SECONDS", 0.5)
    with scripted(polled=lambda run_id, before: None if before < 3 else completed(run_id)) as script:
        connect_to(monkeypatch, script)
        assert statuses(Batch(rows=people(2), run_timeout=60).attempt()) == {"succeeded": 2}


@ONE_CONTRACT
def test_runs_that_are_never_found_stop_a_batch_after_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "NOT_FOUND_SECONDS", 0.1)
    gone = (404, {"error": {"code": "RUN_NOT_FOUND", "message": "no such run"}})
    with scripted(polled=lambda run_id, before: gone) as script:
        connect_to(monkeypatch, script)
        manifest = stopped(Batch(rows=people(20)))
        assert statuses(manifest) == {"unknown": 3, "not_submitted": 17}
        assert [row["_run_id"] for row in written(manifest)[:3]] == ["run_0", "run_1", "run_2"]


@ONE_CONTRACT
@pytest.mark.parametrize("ends", [True, False], ids=["after the other has ended", "while it goes on"])
def test_a_run_that_is_told_for_two_rows_is_the_result_of_neither(
    ends: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def submitted(number: int) -> Answer:
        return queued("run_1" if number == 5 else f"run_{number}")

    def polled(run_id: str, before: int) -> Answer:
        is_shared = run_id == "run_1" and len(script.submissions) < 8
        return completed(run_id) if ends or not is_shared else (200, {"run_id": run_id, "status": "running"})

    with scripted(submitted, polled) as script:
        connect_to(monkeypatch, script)
        batch = Batch(
            rows=people(30),
            max_in_flight=1 if ends else 2,
            on_ambiguous_submit="resubmit",
            output_path=f"file://{tmp_path}",
        )
        manifest = stopped(batch)
        rows = written(manifest)
        # Two that leave together may arrive in any order.
        shared = {script.submissions[number]["inputs"]["c-name"] for number in (1, 5)}
        for row in (row for row in rows if row["Full Name"] in shared):
            assert (row["_status"], row["_run_id"]) == ("unknown", None)
            assert "run 'run_1' was told for two rows" in row["_error"]
            assert not row.get("Enriched Email")
        counts = statuses(manifest)
        assert counts["unknown"] == 2
        assert counts["succeeded"] == len(script.submissions) - 2
        assert counts["not_submitted"] == 30 - len(script.submissions)
        batch.clear()
        again = batch.incomplete()
        assert statuses(again) == {"succeeded": 28, "unknown": 2}
        assert len(script.submissions) == 30


@ONE_CONTRACT
def test_a_run_of_two_rows_is_found_out_by_a_retry_as_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    works = False

    def polled(run_id: str, before: int) -> Answer:
        return completed(run_id) if works else (200, {"run_id": run_id, "status": "running"})

    with scripted(polled=polled) as script:
        connect_to(monkeypatch, script)
        batch = Batch(rows=people(4), segment_size=2, batch_timeout=2.5, output_path=f"file://{tmp_path}/out")
        with pytest.raises(api.RunTimedOutError):
            batch.attempt()
        first, second = (
            max(k for k in batch.store.values if k.endswith(end)) for end in ("_00000", "_00001")
        )
        record = json.loads(batch.store.values[second])
        record["entries"][0] = json.loads(batch.store.values[first])["entries"][1]
        batch.store.values[second] = json.dumps(record)
        batch.move(monkeypatch, tmp_path / "elsewhere")
        works = True
        batch.arguments["batch_timeout"] = None
        manifest = stopped(batch)
        assert len(script.submissions) == 4
    assert [row["_status"] for row in written(manifest)] == ["succeeded", "unknown", "unknown", "succeeded"]


@ONE_CONTRACT
@pytest.mark.parametrize("outputs", [None, [], "<html>"], ids=repr)
def test_outputs_that_cannot_be_read_are_asked_for_again(
    outputs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(polling, "UNREADABLE_SECONDS", 1.0)
    works = False

    def polled(run_id: str, before: int) -> Answer:
        if run_id == "run_1" and not works:
            return 200, {"run_id": run_id, "status": "completed", "outputs": outputs, "note": "ref-17"}
        return completed(run_id)

    with scripted(polled=polled) as script:
        connect_to(monkeypatch, script)
        batch = Batch(rows=people(6), output_path=f"file://{tmp_path}")
        manifest = batch.incomplete(exceptions.UnknownRowsError)
        assert statuses(manifest) == {"succeeded": 5, "unknown": 1}
        [row] = [row for row in written(manifest) if row["_run_id"] == "run_1"]
        assert row["_status"] == "unknown"
        assert "ref-17" in row["_error"]
        works = True
        assert statuses(batch.attempt()) == {"succeeded": 6}
        assert len(script.submissions) == 6


@ONE_CONTRACT
@pytest.mark.parametrize(
    "answer",
    [
        (400, {"error": {"code": "BAD_RUN"}}),
        (402, {"error": {"code": "INSUFFICIENT_CREDITS"}}),
        (403, {"error": {"code": "FORBIDDEN"}}),
        (404, {"error": {"code": "GRID_NOT_FOUND"}}),
        (410, {"error": {"code": "RUN_EXPIRED"}}),
    ],
    ids=lambda answer: str(answer[0]),
)
def test_a_run_that_is_refused_costs_its_row_alone(
    answer: Answer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(polling, "NOT_FOUND_SECONDS", 1.0)
    with scripted(polled=lambda run_id, before: answer if run_id == "run_1" else completed(run_id)) as script:
        connect_to(monkeypatch, script)
        manifest = Batch(rows=people(8), output_path=f"file://{tmp_path}").incomplete(
            exceptions.UnknownRowsError
        )
    assert statuses(manifest) == {"succeeded": 7, "unknown": 1}
    [row] = [row for row in written(manifest) if row["_run_id"] == "run_1"]
    assert (row["_status"], str(answer and answer[0]) in row["_error"]) == ("unknown", True)
    assert len(script.submissions) == 8


@ONE_CONTRACT
def test_ends_that_cannot_be_read_stop_a_batch_though_runs_were_seen_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(polling, "UNREADABLE_SECONDS", 1.0)
    monkeypatch.setattr(brake, "FIRST_IN_FLIGHT", 10)

    def polled(run_id: str, before: int) -> Answer:
        if not before:
            return 200, {"run_id": run_id, "status": "running"}
        return 200, {"run_id": run_id, "status": "completed", "outputs": "<html>"}

    with scripted(polled=polled) as script:
        connect_to(monkeypatch, script)
        manifest = stopped(Batch(rows=people(60)))
        assert statuses(manifest) == {"unknown": 10, "not_submitted": 50}
        assert len(script.submissions) == 10


@ONE_CONTRACT
def test_a_status_that_is_not_known_is_told_with_what_was_answered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def polled(run_id: str, before: int) -> Answer:
        if run_id in ("run_1", "run_2"):
            return 200, {"run_id": run_id, "status": "finalized", "outputs": {"c-email": "ref-17"}}
        return completed(run_id)

    with scripted(polled=polled) as script:
        connect_to(monkeypatch, script)
        batch = Batch(rows=people(6), run_timeout=5, output_path=f"file://{tmp_path}")
        manifest = batch.incomplete(exceptions.UnknownRowsError)
    assert statuses(manifest) == {"succeeded": 4, "unknown": 2}
    for row in filter(lambda row: row["_status"] == "unknown", written(manifest)):
        assert "last seen 'finalized'. Answered: keys" in row["_error"]
        assert "ref-17" in row["_error"], "so that a person has what was paid for"
    assert caplog.text.count("has the status 'finalized', which is not known, and outputs") == 1, "told once"
