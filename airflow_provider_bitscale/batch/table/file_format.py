"""Pure: what the content of a file is, whatever its name: compression, encoding, separator of cells."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from airflow_provider_bitscale.batch.table.data_quality import is_divider
from airflow_provider_bitscale.batch.table.raw_rows import Unreadable

# Bytes of the beginning of a file, from which its format is found.
SAMPLE_SIZE = 16 * 1024
# Lines of it that have to agree about the separator.
_SAMPLE_ROWS = 50


@dataclass(frozen=True, slots=True)
class TableFormat:
    """How a file is read.

    :param is_csv: else it is JSON.
    :param may_be_array: of JSON: whether it may be an array, or objects over several lines.
    :param separator: of the cells of CSV.
    :param first_line: where CSV begins, from 1: after a line such as ``sep=;``.
    """

    is_csv: bool
    may_be_array: bool = False
    encoding: str = "utf-8-sig"
    separator: str = ","
    first_line: int = 1

    @property
    def peculiarities(self) -> str:
        """What is out of the ordinary, for the log; empty if nothing is."""
        found = []
        if self.encoding != "utf-8-sig":
            found.append(f"in {self.encoding.upper()}")
        if self.is_csv and self.separator != ",":
            found.append(f"with cells separated by {self.separator!r}")
        return " and ".join(found)


def compression_of(data: bytes) -> str | None:
    """Return the compression of a file that begins so, as fsspec names it; None if none is known."""
    return next((name for magic, name in _COMPRESSIONS.items() if data.startswith(magic)), None)


def format_of(named: TableFormat, data: bytes, *, whole: bool) -> TableFormat:
    """Return the format of a file whose name says this and whose content begins so.

    :param whole: whether that is all of it.
    :raises Unreadable: it is not a table of text; with what to do.
    """
    _refuse_what_is_no_text(data)
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8-sig")
    named = replace(named, encoding=encoding)
    if not named.is_csv:
        return named
    text = codecs.getincrementaldecoder(encoding)("replace").decode(data)
    if _JSON.match(text):
        raise Unreadable("it is JSON: let its name end with .json or .jsonl")
    if declared := _DECLARATION.match(text):
        return replace(named, separator=declared[1].replace(r"\t", "\t"), first_line=2)
    # Lines as the reader of CSV has them: str.splitlines() also ends one within a cell.
    lines = list(io.StringIO(text, newline=""))
    return replace(named, separator=_separator(lines if whole else lines[:-1], named.separator))


def _separator(lines: list[str], usual: str) -> str:
    """Return the usual one, unless one other alone makes a table; if none does, that of most lines."""
    shares = {each: _share(lines, each) for each in _SEPARATORS}
    most = max(shares.values())
    best = [each for each, share in shares.items() if share == most]
    return best[0] if len(best) == 1 and most > 0.5 else usual


def _share(lines: Iterable[str], separator: str) -> float:
    """Return the part of the rows that have the same number of cells, more than one; from 0 to 1."""
    try:
        rows = [row for row in csv.reader(lines, delimiter=separator) if row and not is_divider(row)]
    except csv.Error:
        return 0
    rows = rows[:_SAMPLE_ROWS]
    sizes = Counter(len(row) for row in rows if len(row) > 1)
    [(size, count)] = sizes.most_common(1) or [(0, 0)]
    if count < len(rows) and separator in _OF_PROSE:
        # A line of no table may be the header of texts such as "Lovelace; Ada".
        count = sum(len(row) == size and not any(cell.startswith(" ") for cell in row[1:]) for row in rows)
    return count / len(rows) if rows else 0


def _refuse_what_is_no_text(data: bytes) -> None:
    for magic, what in _NO_TABLES.items():
        if data.startswith(magic):
            raise Unreadable(f"it is {what}")
    if data.startswith(b"PK\x03\x04"):
        raise Unreadable(f"it is {_zipped(data)}")
    if _PAGE.match(data):
        raise Unreadable("it is a page of HTML or XML, such as a form to sign in: download the table itself")
    if data[257:262] == b"ustar":
        raise Unreadable("it is a tar archive: unpack it")
    if not data.startswith(tuple(_MARKS)):
        _refuse_bytes_of_no_text(data)


def _refuse_bytes_of_no_text(data: bytes) -> None:
    """Refuse UTF-16 without a byte order mark, and bytes that are not text.

    :raises Unreadable: it is one of them.
    """
    text = data.rstrip(b"\x00")
    zeros = text.count(0)
    # Of UTF-16 in most of the world's alphabets, every other byte is zero.
    if zeros > len(text) / 5 and zeros in (text[::2].count(0), text[1::2].count(0)):
        raise Unreadable("it looks like UTF-16 without a byte order mark: save it as 'CSV UTF-8'")
    if len(_CONTROLS.findall(text)) > len(text) / 25:
        raise Unreadable("it is not text: write the table as CSV in UTF-8 or as JSON lines")
    if len(data) > len(text):
        raise Unreadable("it ends in zero bytes, as a file that was not written to its end: write it again")


def _zipped(data: bytes) -> str:
    name = data[30 : 30 + int.from_bytes(data[26:28], "little")].decode("latin-1")
    if name.lower().endswith((".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson")):
        return f"a zip archive with {name!r}: unpack it"
    return "an Excel workbook (.xlsx) or a zip archive: save the sheet as CSV UTF-8, or unpack it"


_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
# The longer ones first: a mark of UTF-32 begins like one of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SEPARATORS = (",", ";", "\t", "|")
_OF_PROSE = (",", ";")
_DECLARATION = re.compile('\ufeff?"?sep=(\\\\t|[^\r\n"])"?,*\r?\n', re.IGNORECASE)
_JSON = re.compile(r'\ufeff?\s*[\[{]\s*["{\[]')
_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<[!?a-z]", re.IGNORECASE)
# What no text has, but for a zero or a Ctrl-Z at its end.
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x19\x1b-\x1f]")
_WRITE = "write it as CSV or JSON lines"
_NO_TABLES = {
    b"PAR1": f"a Parquet file: {_WRITE}, as pandas does with to_json(path, orient='records', lines=True)",
    b"\xd0\xcf\x11\xe0": "an Excel workbook (.xls): save the sheet as CSV UTF-8",
    b"PK\x05\x06": "an empty zip archive",
    b"Obj\x01": f"an Avro file: {_WRITE}",
    b"ORC": f"an ORC file: {_WRITE}",
    b"ARROW1": f"an Arrow or Feather file: {_WRITE}",
    b"SQLite format 3\x00": f"a SQLite database: {_WRITE}",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard: unpack it, or compress it with gzip",
    b"\x04\x22\x4d\x18": "compressed with LZ4: unpack it, or compress it with gzip",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"%PDF": f"a PDF: {_WRITE}",
    b"\x89PNG": f"a picture (.png): {_WRITE}",
    b"\x80\x04\x95": f"a pickle of Python: {_WRITE}",
    b"\x80\x05\x95": f"a pickle of Python: {_WRITE}",
    b"]\x00\x00": "compressed with LZMA (.lzma): compress it with xz",
}
