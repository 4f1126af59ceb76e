"""Rows beside what was found, in files that are never seen half written."""

from __future__ import annotations

import csv
import io
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.api import InvalidRequestError
from airflow_provider_bitscale.batch.row_result import FAILED, NOT_SUBMITTED, SUCCEEDED, RowResult
from airflow_provider_bitscale.batch.table.csv_rows import csv_text
from airflow_provider_bitscale.batch.table.manifest import read_manifest
from airflow_provider_bitscale.batch.table.writers import Output, output_row
from tests.support.object_stores import STORES, folder_in, write

OWN = {"_status": SUCCEEDED, "_run_id": "run_1", "_credits": 9, "_error": None}
FOUND = RowResult(SUCCEEDED, "run_1", 9, outputs={"Email": "jane@acme.com", "Phone": None})

BESIDE: dict[str, tuple[dict[str, Any], RowResult, dict[str, Any]]] = {
    "outputs after fields": (
        {"name": "Jane"},
        FOUND,
        {"name": "Jane", "Email": "jane@acme.com", "Phone": None, **OWN},
    ),
    "an output replaces a field": (
        {"Email": "old@acme.com", "name": "Jane"},
        FOUND,
        {"Email": "jane@acme.com", "name": "Jane", "Phone": None, **OWN},
    ),
    "ours replace those of an earlier batch": (
        {"_status": "failed", "_error": "x"},
        FOUND,
        {**FOUND.outputs, **OWN},
    ),
    "not run": (
        {"name": "Jane", "Email": "old@acme.com"},
        RowResult(NOT_SUBMITTED),
        {
            "name": "Jane",
            "Email": "old@acme.com",
            "_status": NOT_SUBMITTED,
            "_run_id": None,
            "_credits": None,
            "_error": None,
        },
    ),
}


@pytest.mark.parametrize(("fields", "settled", "row"), BESIDE.values(), ids=BESIDE.keys())
def test_a_row_beside_what_was_found(fields: dict[str, Any], settled: RowResult, row: dict[str, Any]) -> None:
    before = dict(fields)
    assert output_row(fields, settled) == row
    assert fields == before


ROWS = [
    output_row(
        {"name": "网格 é", "note": 'a,"b"\r\nc'}, RowResult(SUCCEEDED, "run_1", 9, outputs={"Email": "e"})
    ),
    output_row({"name": "\ud83d", "tags": ["é", 1], "is": True}, RowResult(FAILED, "run_2", 1.5, "no\rluck")),
]


@pytest.mark.parametrize("store", STORES)
def test_json_lines(store: str, tmp_path: Path) -> None:
    folder = folder_in(store, tmp_path)
    written = Output(folder, "jsonl", "b1").write_part(7, ROWS)
    assert written == str(folder / "b1-part-00007.jsonl")
    assert written.startswith(f"{store}://")
    data = (folder / "b1-part-00007.jsonl").read_bytes()
    assert [json.loads(line) for line in data.split(b"\n")[:-1]] == ROWS
    assert "网格 é".encode() in data
    assert [path.name for path in folder.iterdir()] == ["b1-part-00007.jsonl"]


@pytest.mark.parametrize("store", STORES)
def test_csv(store: str, tmp_path: Path) -> None:
    folder = folder_in(store, tmp_path)
    output = Output(
        folder, "csv", "b1", fields=["name", "note", "tags", "is"], output_names=["Email", "Phone"]
    )
    written = output.write_part(0, ROWS)
    assert written == str(folder / "b1-part-00000.csv")
    text = (folder / "b1-part-00000.csv").read_bytes().decode()
    header = ["name", "note", "tags", "is", "Email", "Phone", "_status", "_run_id", "_credits", "_error"]
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        header,
        ["网格 é", 'a,"b"\r\nc', "", "", "e", "", "succeeded", "run_1", "9", ""],
        ["\\ud83d", "", '["é", 1]', "true", "", "", "failed", "run_2", "1.5", "no\rluck"],
    ]


def test_all_parts_in_csv_have_one_header(tmp_path: Path) -> None:
    folder = folder_in("file", tmp_path)
    parts: list[list[tuple[dict[str, Any], dict[str, Any]]]] = [
        [({"id": "1", "name": "Ada"}, {"Phone": "1"})],
        [({"phone": "0041", "name": "Zoe", "id": "2", "Email": "old"}, {"Email": "e", "Phone": "2"})],
        [({}, {"Email": None})],
        [],
    ]
    for _ in range(2):
        output = Output(
            folder,
            "csv",
            "b1",
            fields=["id", "name", "phone", "Email", "_error"],
            output_names=["Email", "Phone"],
        )
        headers = [
            Path(output.write_part(number, rows_of(part)).removeprefix("file://")).read_text().splitlines()[0]
            for number, part in enumerate(parts)
        ]
        assert set(headers) == {"id,name,phone,Email,Phone,_status,_run_id,_credits,_error"}


def test_an_output_without_a_column_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    output = Output(folder_in("file", tmp_path), "csv", "b1", fields=["id"], output_names=["Email"])
    part = output.write_part(0, rows_of([({"id": "1"}, {"New": "x", "Email": "e"})]))
    assert Path(part.removeprefix("file://")).read_text().splitlines()[1] == "1,e,succeeded,,,"
    [message] = caplog.messages
    assert "part-00000.csv has no column for 'New'" in message


def rows_of(part: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[dict[str, Any]]:
    return [output_row(fields, RowResult(SUCCEEDED, outputs=outputs)) for fields, outputs in part]


ESCAPED = [
    ("=1+1", "'=1+1"),
    ("+41 79 000", "'+41 79 000"),
    ("-2+3", "'-2+3"),
    ("@SUM(1)", "'@SUM(1)"),
    ("\tx", "'\tx"),
    ("\rx", "'\rx"),
    ("'=1", "''=1"),
    ("\n=1", "'\n=1"),
    (" =1", "' =1"),
    ("\u200b=1", "'\u200b=1"),
    ("\ufeff@x", "'\ufeff@x"),
    ("\uff1d1", "'\uff1d1"),
    ("\uff0b1", "'\uff0b1"),
    ("'\n-x", "''\n-x"),
    ("\u200b'=1", "\u200b'=1"),
    ("-5", "-5"),
    ("+3.5", "+3.5"),
    ("a=b", "a=b"),
    ("'x", "'x"),
    ("", ""),
    (-5, "-5"),
    (None, ""),
]


@pytest.mark.parametrize(("value", "cell"), ESCAPED)
def test_formulas_are_escaped_where_that_is_wanted(value: Any, cell: str) -> None:
    for escape, wanted in ((True, cell), (False, "" if value is None else str(value))):
        text = csv_text([{"=a": value}], ["=a", "b"], escape_formulas=escape)
        [header, row] = csv.reader(io.StringIO(text, newline=""))
        assert header == ["'=a" if escape else "=a", "b"]
        assert row == [wanted, ""]


@pytest.mark.parametrize(
    ("format", "data"),
    [("jsonl", b""), ("csv", b"Email,_status,_run_id,_credits,_error\r\n")],
)
@pytest.mark.parametrize("store", STORES)
def test_a_part_without_rows(store: str, format: str, data: bytes, tmp_path: Path) -> None:
    folder = folder_in(store, tmp_path)
    Output(folder, format, "b1", output_names=["Email"]).write_part(0, [])
    assert (folder / f"b1-part-00000.{format}").read_bytes() == data


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_what_is_written_again_replaces_and_is_the_same(store: str, format: str, tmp_path: Path) -> None:
    folder = folder_in(store, tmp_path)
    output = Output(folder, format, "b1", fields=ROWS[0], output_names=["Email"])
    path = folder / f"b1-part-00000.{format}"
    output.write_part(0, ROWS)
    first = path.read_bytes()
    output.write_part(0, ROWS[:1])
    assert len(path.read_bytes()) < len(first)
    output.write_part(0, ROWS)
    assert path.read_bytes() == first


@pytest.mark.parametrize("store", STORES)
def test_a_manifest_is_read_as_it_was_written(store: str, tmp_path: Path) -> None:
    folder = folder_in(store, tmp_path)
    output = Output(folder, "jsonl", "b1")
    manifest = {"parts": [output.write_part(0, ROWS)], "output_names": ["Email é"], "format": "jsonl", "x": 1}
    assert output.write_manifest(manifest) == str(folder / "b1-manifest.json")
    assert read_manifest(folder / "b1-manifest.json") == manifest


NO_MANIFESTS: dict[str, bytes | None] = {
    "not there": None,
    "empty": b"",
    "not JSON": b"{",
    "not text": b"\xff\xfe{}",
    "a list": b"[]",
    "no parts": b'{"output_names": [], "format": "csv"}',
    "parts are no list": b'{"parts": "a", "output_names": [], "format": "csv"}',
    "a part is no path": b'{"parts": [1], "output_names": [], "format": "csv"}',
    "no names": b'{"parts": [], "format": "csv"}',
    "another format": b'{"parts": [], "output_names": [], "format": "parquet"}',
    "its format is a list": b'{"parts": [], "output_names": [], "format": []}',
}


@pytest.mark.parametrize("data", NO_MANIFESTS.values(), ids=NO_MANIFESTS.keys())
@pytest.mark.parametrize("store", STORES)
def test_what_is_no_manifest(store: str, data: bytes | None, tmp_path: Path) -> None:
    path = folder_in(store, tmp_path) / "b1-manifest.json"
    if data is not None:
        write(path, data)
    with pytest.raises(
        InvalidRequestError, match="there is no file" if data is None else "is not the manifest"
    ):
        read_manifest(path)


def test_a_reader_never_sees_half_a_part(tmp_path: Path) -> None:
    folder = folder_in("file", tmp_path)
    local = Path(folder.path)
    output = Output(folder, "jsonl", "b1")
    small, large = [{"n": 0}] * 10, [{"n": number, "text": "x" * 500} for number in range(1000)]
    done = threading.Event()
    seen: set[int] = set()

    def read() -> None:
        while not done.is_set():
            for path in local.glob("*.jsonl"):
                seen.add(len(path.read_bytes().splitlines()))

    output.write_part(0, small)
    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(30):
            output.write_part(0, large)
            output.write_part(0, small)
    finally:
        done.set()
        reader.join()
    assert seen == {10, 1000}
    assert [path.name for path in local.iterdir()] == ["b1-part-00000.jsonl"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    folder = folder_in("file", tmp_path)
    output = Output(folder, "jsonl", "b1")
    output.write_part(0, [{"n": 0}])
    (Path(folder.path) / "b1-part-00001.jsonl").mkdir()
    with pytest.raises(OSError, match="b1-part-00001"):
        output.write_part(1, [{"n": 1}])
    names = sorted(path.name for path in Path(folder.path).iterdir())
    assert names == ["b1-part-00000.jsonl", "b1-part-00001.jsonl"]
