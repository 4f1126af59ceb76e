"""Unknown rows of an earlier batch, as an earlier try of this one would have left them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.row_result import SUCCEEDED, UNKNOWN, RowResult
from airflow_provider_bitscale.batch.store.segment_records import ANNOUNCED, SegmentRecord
from airflow_provider_bitscale.batch.store.takeover import collected_records
from airflow_provider_bitscale.batch.table.earlier_rows import UnknownRows
from airflow_provider_bitscale.batch.table.mapping import RowMapping
from airflow_provider_bitscale.batch.table.survey import read_segments, survey
from airflow_provider_bitscale.batch.table.writers import Output, output_row
from tests.support.object_stores import folder_in

ENDS = [
    RowResult(UNKNOWN, "run_0", error="given up"),
    RowResult(SUCCEEDED, "run_1", 3, outputs={"Email": "e"}),
    RowResult(UNKNOWN, error="no answer came"),
    RowResult(UNKNOWN, "run_3", error="given up"),
]


def a_batch(folder: Any, format: str) -> Any:
    output = Output(folder, format, "b1", fields=["n"], output_names=["Email"])
    part = output.write_part(0, [output_row({"n": str(n)}, settled) for n, settled in enumerate(ENDS)])
    manifest = {"parts": [part], "output_names": ["Email"], "format": format, "grid_id": "grid_1"}
    output.write_manifest(manifest)
    return folder / "b1-manifest.json"


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_each_row_has_a_run_or_is_unknown_for_good(format: str, tmp_path: Path) -> None:
    source = UnknownRows(a_batch(folder_in("file", tmp_path), format), "grid_1")
    surveyed = survey(source, RowMapping(), 2)
    found = list(read_segments(source, RowMapping(), 2, surveyed))
    assert [[row.fields["n"] for row in segment.rows] for segment in found] == [["0", "2"], ["3"]]
    assert collected_records(found) == {
        0: SegmentRecord(["run_0", ANNOUNCED], {1: RowResult(UNKNOWN, error="no answer came")}),
        1: SegmentRecord(["run_3"]),
    }


def test_other_run_ids_are_another_batch(tmp_path: Path) -> None:
    manifest = a_batch(folder_in("file", tmp_path), "jsonl")
    before = survey(UnknownRows(manifest, "grid_1"), RowMapping(), 2).fingerprint
    part = manifest.parent / "b1-part-00000.jsonl"
    part.write_text(part.read_text().replace("run_3", "run_4"))
    assert survey(UnknownRows(manifest, "grid_1"), RowMapping(), 2).fingerprint != before


def test_a_batch_of_another_grid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="is of grid 'grid_1', not of 'grid_2'"):
        UnknownRows(a_batch(folder_in("file", tmp_path), "jsonl"), "grid_2")
