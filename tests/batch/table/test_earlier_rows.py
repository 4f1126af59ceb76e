"""Rows of an earlier batch are read as they went into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.api import InvalidRequestError
from airflow_provider_bitscale.batch.row_result import (
    DUPLICATE,
    FAILED,
    NOT_SUBMITTED,
    SUCCEEDED,
    UNKNOWN,
    RowResult,
    unreadable_acceptance,
)
from airflow_provider_bitscale.batch.table.earlier_rows import UnfinishedRows
from airflow_provider_bitscale.batch.table.mapping import InputMapping
from airflow_provider_bitscale.batch.table.survey import read_segments, survey
from airflow_provider_bitscale.batch.table.writers import Output, output_row
from tests.batch.table.test_mapping import LEADS
from tests.batch.table.test_readers import read
from tests.support.object_stores import STORES, folder_in, write


def earlier_batch(folder: Any, format: str) -> Any:
    """The path of the manifest of a batch with every ending, in two parts."""
    outputs = ["Email", "Phone"]
    output = Output(folder, format, "b1", fields=["name", "tags", "Email"], output_names=outputs)
    parts: list[list[tuple[dict[str, Any], RowResult]]] = [
        [
            ({"name": "a", "tags": "x"}, RowResult(SUCCEEDED, "run_1", 9, outputs={"Email": "e"})),
            ({"name": "b\nb", "tags": ""}, RowResult(FAILED, "run_2", None, "no luck")),
            ({"name": "c", "tags": "y"}, RowResult(UNKNOWN)),
        ],
        [
            ({"name": "d", "Email": "old@acme.com"}, RowResult(NOT_SUBMITTED)),
            ({"name": "d", "Email": "old@acme.com"}, RowResult(DUPLICATE)),
        ],
    ]
    paths = [
        output.write_part(number, [output_row(fields, settled) for fields, settled in rows])
        for number, rows in enumerate(parts)
    ]
    output.write_manifest({"parts": paths, "output_names": outputs, "format": format})
    return folder / "b1-manifest.json"


PLACES = {"jsonl": ("line 2", "line 3", "line 1"), "csv": ("line 3", "line 5", "line 2")}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_unfinished_rows_are_as_they_came(store: str, format: str, tmp_path: Path) -> None:
    manifest = earlier_batch(folder_in(store, tmp_path), format)
    b, c, d = PLACES[format]
    failed = (f"b1-part-00000.{format}, {b}", {"name": "b\nb", "tags": ""})
    unknown = (f"b1-part-00000.{format}, {c}", {"name": "c", "tags": "y"})
    # All rows of CSV have all fields.
    tags = {"tags": ""} if format == "csv" else {}
    not_submitted = (f"b1-part-00001.{format}, {d}", {"name": "d", **tags, "Email": "old@acme.com"})
    source = UnfinishedRows(manifest, resubmit=False)
    assert read(source) == [failed, not_submitted]
    assert read(source) == [failed, not_submitted]
    source = UnfinishedRows(manifest, resubmit=True)
    assert read(source) == [failed, unknown, not_submitted]


ACCEPTED = unreadable_acceptance("its answer was {}")
LEFT_OUT: list[tuple[RowResult, bool, bool]] = [
    (RowResult(UNKNOWN), True, False),
    (RowResult(UNKNOWN, error="no answer came"), True, False),
    (RowResult(UNKNOWN, "run_1", error="given up"), False, False),
    (ACCEPTED, False, False),
    (RowResult(SUCCEEDED, "run_1"), False, False),
    (RowResult(FAILED, error=ACCEPTED.error), True, True),
]


@pytest.mark.parametrize("format", ["jsonl", "csv"])
@pytest.mark.parametrize(("settled", "ambiguous", "otherwise"), LEFT_OUT, ids=str)
def test_which_rows_are_submitted_again(
    settled: RowResult, ambiguous: bool, otherwise: bool, format: str, tmp_path: Path
) -> None:
    output = Output(folder_in("file", tmp_path), format, "b1", fields=["name"])
    part = output.write_part(0, [output_row({"name": "a"}, settled)])
    output.write_manifest({"parts": [part], "output_names": [], "format": format})
    for resubmit, wanted in ((True, ambiguous), (False, otherwise)):
        source = UnfinishedRows(output.folder / "b1-manifest.json", resubmit=resubmit)
        for _ in range(2):
            assert len(read(source)) == wanted
            assert source.left_out.total() == (settled.status == UNKNOWN and not wanted)


@pytest.mark.parametrize("store", STORES)
def test_unfinished_rows_need_a_manifest_and_its_parts(store: str, tmp_path: Path) -> None:
    folder = folder_in(store, tmp_path)
    with pytest.raises(InvalidRequestError, match="there is no file"):
        UnfinishedRows(folder / "b1-manifest.json", resubmit=False)
    source = UnfinishedRows(earlier_batch(folder, "jsonl"), resubmit=False)
    write(folder / "b1-part-00000.jsonl", b"{\n")
    places = [place for place, _ in read(source)]
    assert places == ["b1-part-00000.jsonl, line 1", "b1-part-00001.jsonl, line 1"]
    (folder / "b1-part-00001.jsonl").unlink()
    with pytest.raises(InvalidRequestError, match=r"there is no file .*b1-part-00001\.jsonl"):
        read(source)


ODD: dict[str, dict[str, Any]] = {
    "a cell longer than Python's limit": {"name": "x" * 200_000},
    "what looks like another file": {"PAR1": "sep=;", "a;b": "[{", "": "x;y"},
    "one that repeats its names": {"name": "name", "note": "note "},
    "separators and newlines": {"name": 'a,"b";c\td\r\ne\x1a', "note": "\ufeff"},
}


@pytest.mark.parametrize("fields", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_what_was_written_is_read_again(fields: dict[str, Any], format: str, tmp_path: Path) -> None:
    output = Output(folder_in("file", tmp_path), format, "b1", fields=list(fields))
    part = output.write_part(0, [output_row(fields, RowResult(FAILED))])
    output.write_manifest({"parts": [part], "output_names": [], "format": format})
    [(_, found)] = read(UnfinishedRows(output.folder / "b1-manifest.json", resubmit=False))
    assert list(found.values()) == list(fields.values())


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_rows_that_spell_an_input_differently_can_be_run_again(format: str, tmp_path: Path) -> None:
    rows = [{"Full Name": "a", "Company": "b"}, {"Full Name": "a", "company": "b"}]
    output = Output(folder_in("file", tmp_path), format, "b1", fields=["Full Name", "Company", "company"])
    part = output.write_part(0, [output_row(fields, RowResult(FAILED)) for fields in rows])
    output.write_manifest({"parts": [part], "output_names": [], "format": format})
    source = UnfinishedRows(output.folder / "b1-manifest.json", resubmit=False)
    mapping = InputMapping(LEADS)
    found = survey(source, mapping, 10)
    [segment] = read_segments(source, mapping, 10, found)
    assert [row.inputs for row in segment.rows] == [{"c-name": "a", "c-company": "b"}] * 2


FORMULAS = {
    "name": "=cmd|' /C calc'!A0",
    "@sum": "@SUM(1)",
    "phone": "+41 79 000 00 00",
    "tab": "\tx",
    "return": "\rx",
    "minus": "-2+3",
    "escaped already": "'=1",
    "after a line break": "\n=1",
    "after what is invisible": "\u200b=1",
    "escaped, after a line break": "'\n=1",
    "full width": "\uff1d1",
    "an apostrophe later": "\u200b'=1",
    "quoted": "'hello'",
    "number": "-5",
    "real": "-1.5e3",
    "plain": "a=b",
}


@pytest.mark.parametrize("escape", [True, False])
def test_escaped_formulas_are_read_as_they_were(escape: bool, tmp_path: Path) -> None:
    folder = folder_in("file", tmp_path)
    output = Output(folder, "csv", "b1", fields=list(FORMULAS), escape_formulas=escape)
    part = output.write_part(0, [output_row(FORMULAS, RowResult(FAILED))])
    output.write_manifest(
        {"parts": [part], "output_names": [], "format": "csv", "csv_escape_formulas": escape}
    )
    [(_, fields)] = read(UnfinishedRows(folder / "b1-manifest.json", resubmit=False))
    assert fields == FORMULAS
