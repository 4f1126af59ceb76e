"""Where the rows of a batch come from."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_bitscale.api import InvalidRequestError
from airflow_provider_bitscale.batch.table.readers import FileSource, ListSource, Source
from airflow_provider_bitscale.batch.table.storage import StoreError
from tests.support.object_stores import STORES, attached, folder_in, write


def read(source: Source) -> list[tuple[str, Any]]:
    """All records; of a broken row, its message."""
    return [
        (place, fields.message if isinstance(fields, InvalidRequestError) else fields)
        for place, fields in source.read()
    ]


EMPTY = "the row is empty: remove it"
MORE = "it has 3 cells, the header has 2: cell 3 is too many; "
ONE_MORE = "it has 2 cells, the header has 1: cell 2 is too many; "
ROW_NAMES = "if the first column has no name, as R writes the names of rows, leave it out or give it one"
TEXT = "a text with a separator in it needs quotes"
DASHES = "it is a line of dashes, as below a header: remove it"
WINDOWS_1252 = (
    "it is not UTF-8, save it as 'CSV UTF-8'; it looks like Windows-1252 (cp1252), which Excel writes as "
    "CSV: iconv -f WINDOWS-1252 -t UTF-8 converts it"
)
FEW = "it has 1 cell, the header has 2: cell 2, 'company', is missing; if it is a note or a footer, remove it"
MANY = "it has 3 cells, the header has 2: cell 3 is too many; a text with a separator in it needs quotes"
TRAILING = "it has 3 cells, the header has 2: cell 3 is empty; remove the separator at the end of the line"
OTHER_SCRIPT = (
    "it is not UTF-8, save it as 'CSV UTF-8'; it looks like an encoding such as Windows-1251, GBK or Shift "
    "JIS"
)
NO_LIST = "it must be an object of fields, not list; an array is read from a .json file"
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
    "blank lines": ("a.csv", b"name,company\n\nJane,Acme\n\r\n\n  \n \t\n\xc2\xa0", [("line 3", JANE)]),
    "blank lines of one cell": ("a.csv", b'name\n  \n""\n', [("line 3", {"name": ""})]),
    "empty cells": ("a.csv", b"name,company\n,Acme\n", [("line 2", {"name": "", "company": "Acme"})]),
    "rows of empty cells, as of Excel": (
        "a.csv",
        b"name,company\n,\n ,,\n",
        [("line 2", EMPTY), ("line 3", EMPTY)],
    ),
    "ragged": (
        "a.csv",
        b"name,company\nJane\nJane,Acme\nJane,Acme,x\nJane,Acme,\nJane,Acme\n\x1a",
        [
            ("line 2", FEW),
            ("line 3", JANE),
            ("line 4", MANY),
            ("line 5", TRAILING),
            ("line 6", JANE),
            ("line 7", "it is Ctrl-Z, which old programs write at the end of a file: remove it"),
        ],
    ),
    "lines of dashes with other cells than the header": (
        "a.csv",
        b"name|company\n-----+--------\nJane|Acme\n+---+---+\n",
        [("line 2", DASHES), ("line 3", JANE), ("line 4", DASHES)],
    ),
    "why there are more cells": (
        "a.csv",
        b"""name,company
"Jane", "Acme, Inc."
'Jane','Acme, Inc.'
1,Jane,Acme
Jane,Acme,Inc.
""",
        [
            ("line 2", MORE + "remove the blanks before quotes"),
            ("line 3", MORE + "a text with a separator in it needs double quotes, not single ones"),
            ("line 4", MORE + ROW_NAMES),
            ("line 5", MORE + TEXT),
        ],
    ),
    "texts with commas": ("a.csv", b"name\nLovelace, Ada\n", [("line 2", ONE_MORE + TEXT)]),
    "cells without a name": (
        "a.csv",
        b",name,company,\n0,Jane,Acme,\n",
        [("line 2", {"column 1": "0", **JANE, "column 4": ""})],
    ),
    "cells without a name beside one that is called so": (
        "a.csv",
        b",,column 2\n0,Jane,Acme\n",
        [("line 2", {"column 1": "0", "unnamed column 2": "Jane", "column 2": "Acme"})],
    ),
    "UTF-16 of Excel": ("a.csv", "name\tcompany\r\nJane\tAcme\r\n".encode("utf-16"), [("line 2", JANE)]),
    "UTF-16, the other way round": (
        "a.csv",
        b"\xfe\xff" + "name,company\nJané,Acme\n".encode("utf-16-be"),
        [("line 2", {"name": "Jané", "company": "Acme"})],
    ),
    "UTF-32": ("a.csv", "name,company\nJane,Acme\n".encode("utf-32"), [("line 2", JANE)]),
    "JSON in UTF-16": ("a.jsonl", '{"name": "Jane"}\n'.encode("utf-16"), [("line 1", {"name": "Jane"})]),
    "semicolons": (
        "a.csv",
        b'name;company\nJane;Acme\n"A;da";"En""gines, Inc."\n',
        [("line 2", JANE), ("line 3", {"name": "A;da", "company": 'En"gines, Inc.'})],
    ),
    "pipes": ("a.csv", b"name|company\nJane|Acme\n", [("line 2", JANE)]),
    "tabs": ("a.tsv", b"name\tcompany\nJane\tAcme\n", [("line 2", JANE)]),
    "tabs that are commas": ("a.tsv", b"name,company\nJane,Acme\n", [("line 2", JANE)]),
    "a separator that is said": ("a.csv", b"sep=;\r\nname;company\r\nJane;Acme\r\n", [("line 3", JANE)]),
    "a separator that is said after a BOM": (
        "a.csv",
        b'\xef\xbb\xbf"SEP=|"\nname|company\nJane|Acme\nx\n',
        [
            ("line 3", JANE),
            ("line 4", FEW),
        ],
    ),
    "commas, where another sign is in every row": (
        "a.csv",
        b"name,tags (a;b)\nJane,x;y\nAda,z;z\n",
        [("line 2", {"name": "Jane", "tags (a;b)": "x;y"}), ("line 3", {"name": "Ada", "tags (a;b)": "z;z"})],
    ),
    "semicolons, and cells with other ends of lines": (
        "a.csv",
        "name;company\nJa\u2028ne;A\x0bc\nA\x85da;Engines\n".encode(),
        [
            ("line 2", {"name": "Ja\u2028ne", "company": "A\x0bc"}),
            ("line 3", {"name": "A\x85da", "company": "Engines"}),
        ],
    ),
    "semicolons, and a footer": (
        "a.csv",
        b"name;company\nJane;Acme, Inc.\nTotal: 1\n",
        [("line 2", {"name": "Jane", "company": "Acme, Inc."}), ("line 3", FEW)],
    ),
    "a column of texts with semicolons": (
        "a.csv",
        b"name\nDoe; Jane\nLovelace; Ada\n",
        [("line 2", {"name": "Doe; Jane"}), ("line 3", {"name": "Lovelace; Ada"})],
    ),
    "two separators would do": (
        "a.csv",
        b"name;x|y\nJane;1|2\n",
        [("line 2", {"name;x|y": "Jane;1|2"})],
    ),
    "a cell longer than Python's limit": (
        "a.csv",
        b"name\n" + b"x" * 200_000 + b"\n",
        [("line 2", {"name": "x" * 200_000})],
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
        [("line 2", WINDOWS_1252), ("line 3", JANE)],
    ),
    "CSV in another script": (
        "a.csv",
        "name,company\n\u0416\u0443\u0436\u0430,\u0429\u0438\u0442\n".encode("cp1251"),
        [("line 2", OTHER_SCRIPT)],
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
        [("line 1", {"a": 1}), ("line 2", NO_LIST)],
    ),
    "objects over several lines": (
        "a.json",
        b'{\n  "name": "Jane",\n  "company": "Acme"\n}\n{\n "name": "Ada", "company": "Engines"}\n',
        [("row 1", JANE), ("row 2", ADA)],
    ),
    "one object over several lines": ("a.json", b'{\n"data": [{"a": 1}]}', [("row 1", {"data": [{"a": 1}]})]),
    "two objects on a line": (
        "a.jsonl",
        b'{"a": 1}{"a": 2}\n',
        [("line 1", "it is not JSON: Extra data at character 9; write each object on a line of its own")],
    ),
    "commas between lines": (
        "a.jsonl",
        b'{"a": 1},\n',
        [("line 1", "it is not JSON: Extra data at character 9; take away the comma at the end of the line")],
    ),
    "a field given twice": (
        "a.jsonl",
        b'{"a": 1, "b": 2, "a": 3}\n{"b": {"c": 1, "c": 2}}\n',
        [
            ("line 1", "it is not JSON: it has 'a' more than once"),
            ("line 2", "it is not JSON: it has 'c' more than once"),
        ],
    ),
    "an integer of very many digits": (
        "a.jsonl",
        b'{"a": ' + b"7" * 5000 + b"}\n",
        [("line 1", {"a": "7" * 5000})],
    ),
    "no objects": (
        "a.jsonl",
        b'[1]\n"a"\nnull\n',
        [
            ("line 1", NO_LIST),
            ("line 2", "it must be an object of fields, not str"),
            ("line 3", "it must be an object of fields, not NoneType"),
        ],
    ),
    "not JSON": (
        "a.jsonl",
        b'{"a": 1\n{"a": 1} x\n{"a": "\xff"}\n{"a": 1}\n',
        [
            (
                "line 1",
                (
                    "it is not JSON: Expecting ',' delimiter at character 9; an object has to stand on "
                    "one line, as jq -c writes it"
                ),
            ),
            ("line 2", "it is not JSON: Extra data at character 10"),
            ("line 3", WINDOWS_1252),
            ("line 4", {"a": 1}),
        ],
    ),
    "values that not every channel takes": (
        "a.jsonl",
        b'{"a": NaN, "b": -Infinity, "c": "x\\u0000y", "d": "Ada \\ud83d", "e": 123456789012345678901}\n',
        [
            ("line 1", {"a": None, "b": "-inf", "c": "xy", "d": "Ada �", "e": "123456789012345678901"}),
        ],
    ),
    "marks of joined files and of old programs": (
        "a.jsonl",
        b'\xef\xbb\xbf{"a": 1}\n\xef\xbb\xbf{"a": 1}\n\x1a',
        [
            ("line 1", {"a": 1}),
            ("line 2", "it begins with a byte order mark, as where files are joined: remove it"),
            ("line 3", "it is Ctrl-Z, which old programs write at the end of a file: remove it"),
        ],
    ),
    "numbers that are none": (
        "a.jsonl",
        b'{"a": 1e400, "b": -1e400, "c": Infinity, "d": [Infinity]}\n',
        [("line 1", {"a": "inf", "b": "-inf", "c": "inf", "d": [None]})],
    ),
    "empty JSON lines": ("a.jsonl", b"", []),
}


# Where each object cost a copy of the rest, it took minutes.
@pytest.mark.timeout(60)
def test_very_many_objects_over_several_lines(tmp_path: Path) -> None:
    path = write(folder_in("file", tmp_path) / "a.json", b'{\n"a":1}\n\n' * 200_000)
    assert sum(fields == {"a": 1} for _, fields in FileSource(path).read()) == 200_000


COMPRESSED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "plain": ("", bytes),
    "gzip": (".gz", gzip.compress),
    "bzip2": (".bz2", bz2.compress),
    "xz": (".xz", lzma.compress),
    "gzip without its suffix": ("", gzip.compress),
    "plain with the suffix of gzip": (".gz", bytes),
    "gzip of two members": (".gz", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
}


@pytest.mark.parametrize(("suffix", "compress"), COMPRESSED.values(), ids=COMPRESSED.keys())
@pytest.mark.parametrize(("name", "data", "records"), FILES.values(), ids=FILES.keys())
def test_a_file(
    name: str,
    data: bytes,
    records: list[tuple[str, Any]],
    suffix: str,
    compress: Callable[[bytes], bytes],
    tmp_path: Path,
) -> None:
    source = FileSource(write(folder_in("file", tmp_path) / (name + suffix), compress(data)))
    assert read(source) == records
    assert read(source) == records


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize(("name", "data", "records"), FILES.values(), ids=FILES.keys())
def test_a_file_in_a_store_of_objects(
    name: str,
    data: bytes,
    records: list[tuple[str, Any]],
    compress: Callable[[bytes], bytes],
    tmp_path: Path,
) -> None:
    source = FileSource(write(folder_in("memory", tmp_path) / name, compress(data)))
    assert read(source) == records


TOLD: dict[str, tuple[str, bytes, list[str]]] = {
    "nothing": ("a.csv", b"name,company\nJane,Acme\n", []),
    "UTF-16 and tabs": (
        "a.csv",
        "name\tcompany\nJane\tAcme\n".encode("utf-16"),
        [r"it is read in UTF-16 and with cells separated by '\t'"],
    ),
    "a nameless cell": (
        "a.csv",
        b"name,\nJane,\n",
        ["line 1, the header: cell 2 is empty; its field is called 'column 2'"],
    ),
}


@pytest.mark.parametrize(("name", "data", "told"), TOLD.values(), ids=TOLD.keys())
def test_how_a_file_is_read_is_told_once(
    name: str, data: bytes, told: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = FileSource(write(folder_in("file", tmp_path) / name, data))
    read(source)
    read(source)
    assert [message.partition(f"{name}: ")[2] for message in caplog.messages] == told


XLSX = b"PK\x03\x04\x14\x00\x06\x00" + bytes(18) + b"\x13\x00\x00\x00[Content_Types].xml"
NO_FILES: dict[str, tuple[str, bytes | None, str]] = {
    "not there": ("a.csv", None, "there is no file .*a.csv$"),
    "not there either": ("a.jsonl.gz", None, "there is no file .*a.jsonl.gz"),
    "a pattern of letters": ("[ab].csv", None, r"there is no file .*; a pattern is not expanded"),
    "a pattern of words": ("{a,b}.csv", None, r"there is no file .*; a pattern is not expanded"),
    "a pattern": ("leads-*.csv", None, r"there is no file .*; a pattern is not expanded: give one file"),
    "two of a name": (
        "a.csv",
        b"name,b,name,b,name\n",
        (
            "a.csv: line 1, the header: it has 'name' more than once, it has 'b' more than once; rename or "
            "remove all but one"
        ),
    ),
    "no name at all": ("a.csv", b",, \nname,b,c\n", "line 1, the header: it is empty; remove what is above"),
    "Latin-1": ("a.csv", "naïve,b\n".encode("latin-1"), "line 1, the header: it is not UTF-8.*Windows-1252"),
    "no header": ("a.csv", b"\nname\n", "line 1, the header: it is empty"),
    "a broken header": ("a.csv", b'"name"x,b\n', "line 1, the header: it is not CSV"),
    "spaces between cells": (
        "a.csv",
        b'"name" "b"\n',
        r"it is not CSV.*separated by a comma, a semicolon, a tab",
    ),
    "UTF-16 without a mark": (
        "a.csv",
        "name,b\nJane,c\n".encode("utf-16-le"),
        "it looks like UTF-16 without a byte order mark: save it as 'CSV UTF-8'",
    ),
    "zeros at the end": ("a.csv", b"name,b\nJane,c\n" + bytes(40), "it ends in zero bytes.*write it again"),
    "control characters": ("a.jsonl", b"\x93\x01name\x02\x7f" * 9, "it is not text: write the table as CSV"),
    "zeros everywhere": ("a.csv", b"\x00\x00\x01a" * 90, "it is not text"),
    "gzip in bzip2": (
        "a.csv",
        bz2.compress(gzip.compress(b"name\n")),
        "it is compressed twice: unpack it once",
    ),
    "Zstandard in gzip": ("a.csv", gzip.compress(b"\x28\xb5\x2f\xfd\x00"), "compressed with Zstandard"),
    "LZMA": (
        "a.csv.xz",
        lzma.compress(b"name\n", format=lzma.FORMAT_ALONE),
        r"compressed with LZMA \(.lzma\): compress it with xz",
    ),
    "tar": ("a.csv", b"a.csv".ljust(257, b"\x00") + b"ustar\x0000", "it is a tar archive: unpack it"),
    "a picture": ("a.csv", b"\x89PNG\r\n\x1a\n", r"it is a picture \(.png\)"),
    "a pickle": ("a.json", pickle.dumps([JANE], 5), "it is a pickle of Python: write it as CSV or JSON"),
    "half a character of UTF-16": (
        "a.csv",
        "a,b\n1,2\n".encode("utf-16") + b"x",
        "begins as utf-16-le, and is not",
    ),
    "half an array": (
        "a.json",
        b'[{"a": 1},\n{"a": 2}',
        "it is not JSON: Expecting.* at line 2, character 9",
    ),
    "an array of Latin-1": ("a.json", b'["caf\xe9"]', "a.json: it is not UTF-8"),
    "half of it": (
        "a.csv.gz",
        gzip.compress(b"name\nJane\n", mtime=0)[:-12],
        "a.csv.gz is not a whole compressed file",
    ),
    "half of xz": (
        "a.csv.xz",
        lzma.compress(b"name\nJane\n")[:-12],
        "a.csv.xz is not a whole compressed file",
    ),
    "half of bzip2": (
        "a.csv.bz2",
        bz2.compress(b"name\nJane\n")[:-12],
        "a.csv.bz2 is not a whole compressed",
    ),
    "broken bzip2": ("a.csv.bz2", b"BZh91AY&SY" + bytes(30), "a.csv.bz2 cannot be read: Invalid data stream"),
    "Excel": ("a.csv", XLSX, r"a.csv: it is an Excel workbook \(.xlsx\).*save the sheet as CSV UTF-8"),
    "old Excel": ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1", r"it is an Excel workbook \(.xls\): save the sheet"),
    "zip": (
        "a.csv",
        b"PK\x03\x04" + bytes(22) + b"\x05\x00\x00\x00a.csv",
        "it is a zip archive with 'a.csv': unpack it",
    ),
    "Parquet": ("a.json", b"PAR1\x15\x04", "it is a Parquet file: write it as CSV or JSON lines"),
    "Zstandard": (
        "a.csv",
        b"\x28\xb5\x2f\xfd\x00",
        "compressed with Zstandard: unpack it, or compress it with gzip",
    ),
    "a page": ("a.csv", b"\n<!DOCTYPE html><html>", "it is a page of HTML or XML, such as a form to sign in"),
    "an error of a store": (
        "a.csv",
        b"<Error><Code>AccessDenied</Code></Error>",
        "it is a page of HTML or XML",
    ),
    "a page that begins with a comment": ("a.json", b"<!-- x --><table>", "it is a page of HTML or XML"),
    "JSON as CSV": ("a.csv", b'[\n {"name": "Jane"}]', "it is JSON: let its name end with .json or .jsonl"),
}


ARRAY = "it is an array of JSON over several lines: let its name end with .json"
IS_CSV = "; if it is CSV, let its name end with .csv"
COMMA = "; JSON has no comma after the last item: remove it"
COMMENT = "; JSON has no comments: remove them"
PYTHON = "; it is a dict as Python prints it: write it with json.dumps"
NEARLY_JSON = [
    ("a.jsonl", '[\n {"name": "Jane"}\n]\n', ARRAY),
    ("a.ndjson", '\n [{"name": "Jane"},\n', ARRAY),
    ("a.json", "name,company\nJane,Acme\n", IS_CSV),
    ("a.json", "name;company\nJane;Acme\n", IS_CSV),
    ("a.jsonl", "name,company\n", IS_CSV),
    ("a.jsonl", '"name","company"\n', IS_CSV),
    ("a.json", '[{"name": "Jane"},]', COMMA),
    ("a.json", '[{"name": "Jane",\n}]', COMMA),
    ("a.jsonl", '{"name": "Jane", }\n', COMMA),
    ("a.json", '// x\n[{"name": "Jane"}]', COMMENT),
    ("a.json", '[{"name": /* x */ "Jane"}]', COMMENT),
    ("a.jsonl", '{"name": "Jane"} # x\n', COMMENT),
    ("a.json", "[{'name': 'Jane'}]", PYTHON),
    ("a.jsonl", "{'name': 'Jane'}\n", PYTHON),
    ("a.jsonl", '{"name": None}\n', PYTHON),
]


@pytest.mark.parametrize(("name", "text", "problem"), NEARLY_JSON)
def test_what_is_nearly_json_is_told_with_a_way_out(
    name: str, text: str, problem: str, tmp_path: Path
) -> None:
    source = FileSource(write(folder_in("file", tmp_path) / name, text.encode()))
    try:
        [(_, found)] = read(source)
    except InvalidRequestError as raised:
        found = raised.message
    assert found.endswith(problem)


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


@pytest.mark.parametrize("name", ["a.csv", "leads"])
def test_a_folder_is_no_file(name: str, tmp_path: Path) -> None:
    folder = folder_in("file", tmp_path) / name
    Path(folder.path).mkdir(parents=True)
    with pytest.raises(
        InvalidRequestError, match=r"; it is a folder: give one of its files, or map the task"
    ):
        read(FileSource(folder))


class Failing(MemoryFileSystem):  # type: ignore[misc]
    """A store that fails in its own way to open a file."""

    protocol = "failing"
    cachable = False
    problem: ClassVar[Exception]

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        raise self.problem


@pytest.mark.parametrize(
    ("problem", "kind"), [(TimeoutError("slow"), StoreError), (PermissionError("no"), InvalidRequestError)]
)
def test_an_outage_of_the_store_is_no_fault_of_the_file(problem: Exception, kind: type[Exception]) -> None:
    Failing.problem = problem
    with pytest.raises(kind, match=r"failing://leads/a\.csv"):
        read(FileSource(attached(Failing, "leads/a.csv")))


@pytest.mark.parametrize("name", ["a.parquet", "a", "csv", "a.csv.zip", "a.gz", "leads/*"])
def test_a_kind_of_file_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        InvalidRequestError, match=r"\.csv, \.tsv, \.jsonl, \.ndjson, \.json, with or without \.gz"
    ):
        FileSource(folder_in("file", tmp_path) / name)


def test_rows_in_memory() -> None:
    rows: list[Any] = [JANE, "Jane", {"name": 1}, ["Jane"], None, {1: "Jane"}]
    source = ListSource(rows)
    records = [
        ("row 1", JANE),
        ("row 2", "it must be an object of fields, not str"),
        ("row 3", {"name": 1}),
        ("row 4", "it must be an object of fields, not list"),
        ("row 5", "it must be an object of fields, not NoneType"),
        ("row 6", "it has the field 1, which is not a text"),
    ]
    assert read(source) == records
    assert read(source) == records


@pytest.mark.parametrize("rows", ["Jane", b"Jane", {"name": "Jane"}, None, 7, iter([JANE])])
def test_what_is_no_list_of_rows(rows: Any) -> None:
    with pytest.raises(InvalidRequestError, match="rows must be a list of dicts, not"):
        ListSource(rows)


def test_what_is_in_place_of_a_list_is_told_with_a_way_out() -> None:
    rows: Any = {"data": [JANE]}
    with pytest.raises(InvalidRequestError, match="not dict: if one of its fields holds the rows, give that"):
        ListSource(rows)


@pytest.mark.parametrize(
    ("name", "header", "line"),
    [
        ("a.csv", "name,company\n", 'Jane,"{}\n{}"\n'),
        ("a.jsonl", "", '{{"name": "Jane", "company": "{} {}"}}\n'),
    ],
)
def test_a_large_file_is_never_all_in_memory(name: str, header: str, line: str, tmp_path: Path) -> None:
    path = folder_in("file", tmp_path) / name
    write(path, (header + line.format("é", "x")).encode())
    assert len(list(FileSource(path).read())) == 1, "what reading loads once is loaded"
    write(path, (header + line.format("é" * 150, "x" * 300) * 10_000).encode())
    tracemalloc.start()
    try:
        assert sum(1 for _ in FileSource(path).read()) == 10_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 20
