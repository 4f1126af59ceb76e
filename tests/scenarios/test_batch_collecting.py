"""Unknown rows whose run ids are known are collected from a manifest, and nothing is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale import api, exceptions
from airflow_provider_bitscale.emulator import Emulator
from tests.support.batches import ONE_CONTRACT, Batch, people, statuses, written
from tests.support.clients import polls, posts
from tests.support.hooks import connect


@pytest.fixture(autouse=True)
def _connected(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, emulator)


def unknown_rows(emulator: Emulator, tmp_path: Path, **options: Any) -> dict[str, Any]:
    """The manifest of a batch of twelve rows: three runs did not end in time, two answers were lost."""
    emulator.control.add_fault("lost_answer", on="run_grid", after=4, times=2)
    emulator.control.add_fault("run_never_ends", after=6, times=3)
    batch = Batch(
        rows=people(12), run_timeout=1.5, segment_size=4, output_path=f"file://{tmp_path}", **options
    )
    manifest = batch.incomplete(exceptions.UnknownRowsError)
    assert statuses(manifest) == {"succeeded": 7, "unknown": 5}
    emulator.control.clear_faults()
    for run in emulator.control.state()["runs"]:
        if run["status"] == "running":
            emulator.control.finish_run(run["run_id"])
    return manifest


@pytest.mark.parametrize("output_format", ["jsonl", "csv"])
def test_rows_are_collected_by_their_run_ids(output_format: str, emulator: Emulator, tmp_path: Path) -> None:
    first = unknown_rows(emulator, tmp_path, output_format=output_format)
    paid, asked = len(posts(emulator)), len(polls(emulator))
    batch = Batch(
        collect_unknown_from=first["manifest_path"], segment_size=2, output_path=f"file://{tmp_path}/more"
    )
    manifest = batch.incomplete()
    assert statuses(manifest) == {"succeeded": 3, "unknown": 2}
    before = {row["id"]: row for row in written(first) if row["_status"] == "unknown"}
    for row in written(manifest):
        assert row["_run_id"] == (before[row["id"]]["_run_id"] or None)
        assert row["Full Name"] == before[row["id"]]["Full Name"]
        if row["_status"] == "unknown":
            assert row["_error"] == before[row["id"]]["_error"]
        else:
            assert row["Enriched Email"]
    assert len(posts(emulator)) == paid
    assert len(polls(emulator)) - asked == 3


@ONE_CONTRACT
def test_a_worker_that_dies_while_it_collects_pays_for_nothing(emulator: Emulator, tmp_path: Path) -> None:
    first = unknown_rows(emulator, tmp_path)
    paid = len(posts(emulator))
    batch = Batch(
        collect_unknown_from=first["manifest_path"],
        segment_size=1,
        on_ambiguous_submit="resubmit",
        fail_when_incomplete=False,
        output_path=f"file://{tmp_path}/more",
    )
    batch.crash(3)
    assert statuses(batch.attempt()) == {"succeeded": 3, "unknown": 2}
    batch.clear()
    assert statuses(batch.attempt()) == {"succeeded": 3, "unknown": 2}
    assert len(posts(emulator)) == paid


@ONE_CONTRACT
def test_a_manifest_of_another_grid_is_refused(emulator: Emulator, tmp_path: Path) -> None:
    first = unknown_rows(emulator, tmp_path)
    path = Path(first["manifest_path"].removeprefix("file://"))
    path.write_text(path.read_text().replace(first["grid_id"], "grid_of_another"))
    asked = len(emulator.control.requests())
    with pytest.raises(api.InvalidRequestError, match="is of grid 'grid_of_another', not of"):
        Batch(collect_unknown_from=first["manifest_path"]).attempt()
    assert len(emulator.control.requests()) == asked


@ONE_CONTRACT
@pytest.mark.parametrize(
    ("policy", "submitted", "told"),
    [("park", 0, "may be paid for: on_ambiguous_submit"), ("resubmit", 2, None)],
)
def test_rows_whose_runs_are_known_are_never_submitted_again(
    policy: str,
    submitted: int,
    told: str | None,
    emulator: Emulator,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = unknown_rows(emulator, tmp_path)
    paid = len(posts(emulator))
    batch = Batch(retry_failed_from=first["manifest_path"], on_ambiguous_submit=policy)
    assert statuses(batch.attempt()) == ({"succeeded": submitted} if submitted else {})
    assert len(posts(emulator)) == paid + submitted
    assert "3 unknown rows are left out: their runs are known: collect_unknown_from" in caplog.text
    assert (told is None) or f"2 unknown rows are left out: they {told}" in caplog.text
