"""Where the rows of a batch come from."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.api import InvalidRequestError
from airflow_provider_bitscale.batch.output import Output, output_row
from airflow_provider_bitscale.batch.sources import FileSource, ListSource, Source, UnfinishedRows
from airflow_provider_bitscale.batch.statuses import (
    DUPLICATE,
    FAILED,
    NOT_SUBMITTED,
    SUCCEEDED,
    UNKNOWN,
    Settled,
    accepted,
)
from tests.batch.stores import STORES, folder_in, write


def read(source: Source) -> list[tuple[str, Any]]:
    """All records; of a broken row, its message."""
    return [
        (place, fields.message if isinstance(fields, InvalidRequestError) else fields)
        for place, fields in source.read()
    ]


JANE, ADA = {"name": "Jane", "company": "Acme"}, {"name": "Ada", "company": "Engines"}
FILES: dict[str, tuple[str, bytes, list[tuple[str, Any]]]] = {
    "CSV": ("a.csv", b"name,company\nJane,Acme\nAda,Engines\n", [("line 2", JANE), ("line 3", ADA)]),
    "CSV in capitals": ("A.CSV", b"name,company\nJane,Acme\n", [("line 2", JANE)]),
    "CRLF": ("a.csv", b"name,company\r\nJane,Acme\r\n", [("line 2", JANE)]),
    "no newline at the end": ("a.csv", b"name,company\nJane,Acme", [("line 2", JANE)]),
    "BOM": ("a.csv", b"\xef\xbb\xbfname,company\nJane,Acme\n", [("line 2", JANE)]),
    "BOM and quotes": ("a.csv", b'\xef\xbb\xbf"name",company\nJane,Acme\n', [("line 2", JANE)]),
    "quoted newlines": (
        "a.csv",
        'name,"the\ncompany"\n"Ja\r\nne","a\n\nb"\n\nAda,"En""gines, é"\n'.encode(),
        [
            ("line 3", {"name": "Ja\r\nne", "the\ncompany": "a\n\nb"}),
            ("line 8", {"name": "Ada", "the\ncompany": 'En"gines, é'}),
        ],
    ),
    "blank lines": ("a.csv", b"name,company\n\nJane,Acme\n\r\n\n", [("line 3", JANE)]),
    "empty cells": ("a.csv", b"name,company\n,\n", [("line 2", {"name": "", "company": ""})]),
    "ragged": (
        "a.csv",
        b"name,company\nJane\nJane,Acme\nJane,Acme,x\n",
        [
            ("line 2", "it has 1 cells, the header has 2"),
            ("line 3", JANE),
            ("line 4", "it has 3 cells, the header has 2"),
        ],
    ),
    "a quote that goes on": (
        "a.csv",
        b'name,company\nJane,Acme\n"Ada,Engines\n',
        [("line 2", JANE), ("line 3", "it is not CSV: unexpected end of data")],
    ),
    "a quote too many": (
        "a.csv",
        b'name,company\n"Ja"ne,Acme\nJane,Acme\n',
        [("line 2", "it is not CSV: ',' expected after '\"'"), ("line 3", JANE)],
    ),
    "CSV that is Latin-1": (
        "a.csv",
        "name,company\nJané,Acme\nJane,Acme\n".encode("latin-1"),
        [("line 2", "it is not UTF-8"), ("line 3", JANE)],
    ),
    "a header alone": ("a.csv", b"name,company\n", []),
    "empty CSV": ("a.csv", b"", []),
    "JSON lines": (
        "a.jsonl",
        b'{"name": "Jane", "company": "Acme"}\n{"name": "\xc3\xa9\xe2\x80\xa8", "n": [1, null]}',
        [("line 1", JANE), ("line 2", {"name": "é\u2028", "n": [1, None]})],
    ),
    "CRLF in JSON lines": (
        "a.ndjson",
        b'{"a": 1}\r\n\r\n{"a": 2}\r\n',
        [("line 1", {"a": 1}), ("line 3", {"a": 2})],
    ),
    "blank lines of JSON": ("a.json", b'\xef\xbb\xbf\n{"a": 1}\n  \n', [("line 2", {"a": 1})]),
    "an array of JSON": (
        "a.json",
        b'\n[\n  {"name": "Jane",\n   "company": "Acme"},\n  7\n]\n',
        [("row 1", JANE), ("row 2", "it must be an object of fields, not int")],
    ),
    "an empty array of JSON": ("a.json", b"[]", []),
    "an array in the second line": (
        "a.json",
        b'{"a": 1}\n[{"a": 2}]\n',
        [("line 1", {"a": 1}), ("line 2", "it must be an object of fields, not list")],
    ),
    "no objects": (
        "a.jsonl",
        b'[1]\n"a"\nnull\n',
        [
            ("line 1", "it must be an object of fields, not list"),
            ("line 2", "it must be an object of fields, not str"),
            ("line 3", "it must be an object of fields, not NoneType"),
        ],
    ),
    "not JSON": (
        "a.jsonl",
        b'{"a": 1\n{"a": 1} x\n\xff{}\n{"a": 1}\n',
        [
            ("line 1", "it is not JSON: Expecting ',' delimiter at character 9"),
            ("line 2", "it is not JSON: Extra data at character 10"),
            ("line 3", "it is not UTF-8"),
            ("line 4", {"a": 1}),
        ],
    ),
    "values that not every channel takes": (
        "a.jsonl",
        b'{"a": NaN, "b": -Infinity, "c": "x\\u0000y", "d": "Ada \\ud83d", "e": 123456789012345678901}\n',
        [
            ("line 1", {"a": None, "b": None, "c": "xy", "d": "Ada �", "e": "123456789012345678901"}),
        ],
    ),
    "empty JSON lines": ("a.jsonl", b"", []),
}


@pytest.mark.parametrize(("name", "data", "records"), FILES.values(), ids=FILES.keys())
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_a_file(
    store: str, zipped: bool, name: str, data: bytes, records: list[tuple[str, Any]], tmp_path: Path
) -> None:
    path = folder_in(store, tmp_path) / (f"{name}.gz" if zipped else name)
    source = FileSource(write(path, gzip.compress(data) if zipped else data))
    assert source.text == (".csv" in name.lower())
    assert read(source) == records
    assert read(source) == records


NO_FILES: dict[str, tuple[str, bytes | None, str]] = {
    "not there": ("a.csv", None, "there is no file .*a.csv"),
    "not there either": ("a.jsonl.gz", None, "there is no file .*a.jsonl.gz"),
    "two of a name": (
        "a.csv",
        b"name,b,name,b,name\n",
        "a.csv: line 1, the header: it has 'name' more than once, it has 'b' more than once",
    ),
    "no name": ("a.csv", b"name,, \n", "line 1, the header: its cell 2 is empty, its cell 3 is empty"),
    "Latin-1": ("a.csv", "naïve,b\n".encode("latin-1"), "line 1, the header: it is not UTF-8"),
    "no header": ("a.csv", b"\nname\n", "line 1, the header: it is empty"),
    "a broken header": ("a.csv", b'"name"x,b\n', "line 1, the header: it is not CSV"),
    "UTF-16": ("a.csv", "name,b\nJane,c\n".encode("utf-16"), "line 1, the header: "),
    "half an array": (
        "a.json",
        b'[{"a": 1},\n{"a": 2}',
        "a.json: it is an array, but it is not JSON: Expecting",
    ),
    "an array of Latin-1": ("a.json", b'["\xe9"]', "a.json: it is an array, but it is not UTF-8"),
    "not gzip": ("a.csv.gz", b"name\nJane\n", "a.csv.gz is not a whole gzip file"),
    "half of it": ("a.csv.gz", gzip.compress(b"name\nJane\n")[:-12], "a.csv.gz is not a whole gzip file"),
}


@pytest.mark.parametrize(("name", "data", "problem"), NO_FILES.values(), ids=NO_FILES.keys())
@pytest.mark.parametrize("store", STORES)
def test_a_file_that_cannot_be_read(
    store: str, name: str, data: bytes | None, problem: str, tmp_path: Path
) -> None:
    path = folder_in(store, tmp_path) / name
    if data is not None:
        write(path, data)
    source = FileSource(path)
    with pytest.raises(InvalidRequestError, match=problem):
        read(source)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    folder = folder_in("file", tmp_path) / "a.csv"
    Path(folder.path).mkdir(parents=True)
    with pytest.raises(InvalidRequestError, match="there is no file"):
        read(FileSource(folder))


@pytest.mark.parametrize("name", ["a.parquet", "a", "csv", "a.csv.zip", "a.gz"])
def test_a_kind_of_file_that_nobody_reads(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"\.csv, \.jsonl, \.ndjson, \.json, with or without \.gz"):
        FileSource(folder_in("file", tmp_path) / name)


def test_rows_in_memory() -> None:
    rows: list[Any] = [JANE, "Jane", {"name": 1}, ["Jane"], None, {1: "Jane"}]
    source = ListSource(rows)
    assert not source.text
    records = [
        ("row 1", JANE),
        ("row 2", "it must be an object of fields, not str"),
        ("row 3", {"name": 1}),
        ("row 4", "it must be an object of fields, not list"),
        ("row 5", "it must be an object of fields, not NoneType"),
        ("row 6", "it has the field 1, which is no text"),
    ]
    assert read(source) == records
    assert read(source) == records


@pytest.mark.parametrize("rows", ["Jane", b"Jane", {"name": "Jane"}, None, 7, iter([JANE])])
def test_what_is_no_list_of_rows(rows: Any) -> None:
    with pytest.raises(InvalidRequestError, match="rows must be a list of dicts, not"):
        ListSource(rows)


def earlier_batch(folder: Any, format: str) -> Any:
    """The path of the manifest of a batch with every ending, in two parts."""
    output = Output(folder, format, "b1", ["Email", "Phone"])
    parts: list[list[tuple[dict[str, Any], Settled]]] = [
        [
            ({"name": "a", "tags": "x"}, Settled(SUCCEEDED, "run_1", 9, outputs={"Email": "e"})),
            ({"name": "b\nb", "tags": ""}, Settled(FAILED, "run_2", None, "no luck")),
            ({"name": "c", "tags": "y"}, Settled(UNKNOWN)),
        ],
        [
            ({"name": "d", "Email": "old@acme.com"}, Settled(NOT_SUBMITTED)),
            ({"name": "d", "Email": "old@acme.com"}, Settled(DUPLICATE)),
        ],
    ]
    paths = [
        output.write_part(number, [output_row(fields, settled) for fields, settled in rows])
        for number, rows in enumerate(parts)
    ]
    output.write_manifest({"parts": paths, "output_names": output.output_names, "format": format})
    return folder / "b1-manifest.json"


PLACES = {"jsonl": ("line 2", "line 3", "line 1"), "csv": ("line 3", "line 5", "line 2")}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_unfinished_rows_are_as_they_came(store: str, format: str, tmp_path: Path) -> None:
    manifest = earlier_batch(folder_in(store, tmp_path), format)
    b, c, d = PLACES[format]
    failed = (f"b1-part-00000.{format}, {b}", {"name": "b\nb", "tags": ""})
    unknown = (f"b1-part-00000.{format}, {c}", {"name": "c", "tags": "y"})
    not_submitted = (f"b1-part-00001.{format}, {d}", {"name": "d", "Email": "old@acme.com"})
    source = UnfinishedRows(manifest, resubmit=False)
    assert source.text == (format == "csv")
    assert read(source) == [failed, not_submitted]
    assert read(source) == [failed, not_submitted]
    source = UnfinishedRows(manifest, resubmit=True)
    assert read(source) == [failed, unknown, not_submitted]


ACCEPTED = accepted("its answer was {}")
LEFT_OUT: list[tuple[Settled, bool, bool]] = [
    (Settled(UNKNOWN), True, False),
    (Settled(UNKNOWN, error="no answer came"), True, False),
    (Settled(UNKNOWN, "run_1", error="given up"), False, False),
    (ACCEPTED, False, False),
    (Settled(SUCCEEDED, "run_1"), False, False),
    (Settled(FAILED, error=ACCEPTED.error), True, True),
]


@pytest.mark.parametrize("format", ["jsonl", "csv"])
@pytest.mark.parametrize(("settled", "in_doubt", "otherwise"), LEFT_OUT, ids=str)
def test_which_rows_are_submitted_again(
    settled: Settled, in_doubt: bool, otherwise: bool, format: str, tmp_path: Path
) -> None:
    output = Output(folder_in("file", tmp_path), format, "b1", [])
    part = output.write_part(0, [output_row({"name": "a"}, settled)])
    output.write_manifest({"parts": [part], "output_names": [], "format": format})
    for resubmit, wanted in ((True, in_doubt), (False, otherwise)):
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


@pytest.mark.parametrize(
    ("name", "header", "line"),
    [
        ("a.csv", "name,company\n", 'Jane,"{}\n{}"\n'),
        ("a.jsonl", "", '{{"name": "Jane", "company": "{} {}"}}\n'),
    ],
)
def test_a_large_file_is_never_all_in_memory(name: str, header: str, line: str, tmp_path: Path) -> None:
    path = folder_in("file", tmp_path) / name
    write(path, (header + line.format("é" * 150, "x" * 300) * 10_000).encode())
    tracemalloc.start()
    try:
        assert sum(1 for _ in FileSource(path).read()) == 10_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 20
