"""Pure: rows that are probably a mistake: no data, totals, notes above the header, words for null."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_bitscale.api.blank import is_blank, trimmed
from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.table.raw_rows import Ragged, cell_count
from airflow_provider_bitscale.runs.field_names import folded

BY_COLUMNS = (
    "a table by columns: give an object for each row, as pandas writes with "
    "to_json(path, orient='records') and to_dict('records')"
)
# A longer text is not a name.
_MAX_NAME = 100
_TOTAL = re.compile(
    r"((grand[ -]|sub[ -]?)?totals?|total g[eé]n[eé]ral|sum|(gesamt)?summe|(ins)?gesamt|suma|totale?)\s*:?"
    r"|(total|count)\W+[\d.,]+"
    r"|\(?[\d.,]+ (rows?|records?|results?|entries|zeilen?)( affected| selected| in set.*)?\W*",
    re.IGNORECASE,
)
_IN_SINGLE_QUOTES = re.compile("\\s*'.*'\\s*", re.DOTALL)
_QUOTED = re.compile(r'\s+".*"\s*', re.DOTALL)
_DIVIDER = re.compile(r"[-=+:|\s]+")


def oddity(
    fields: Mapping[str, Any], read: Sequence[tuple[str, str]], input_names: Collection[str]
) -> str | None:
    """Return what is wrong with a row that is not data, and what to do; None for all others.

    :param fields: of the row, as they came.
    :param read: (name of an input, field) for each field that is an input.
    :param input_names: the names of all inputs, folded.
    """
    if is_by_columns(fields):
        return f"it is {BY_COLUMNS}"
    if is_divider(fields.values()):
        return "it is a line of dashes, as below a header: remove it"
    if _is_header(fields, read, input_names):
        return "it repeats the header, as of a file that is joined: remove it"
    texts = {field: value for _, field in read if isinstance(value := fields.get(field), str) and value}
    if len(texts) > 1 and all(map(_IN_SINGLE_QUOTES.fullmatch, texts.values())):
        return "its texts are in single quotes, which would be sent with them: write double ones"
    for field, value in texts.items():
        if (value[0].isalnum() and value[-1].isalnum()) or is_blank(value):
            continue
        if value.startswith("\ufeff"):
            return f"{field!r} begins with a byte order mark, as where files are joined: remove it"
        if value.endswith("\x1a"):
            return f"{field!r} ends with Ctrl-Z, which old programs write at the end of a file: remove it"
        if value[0].isspace() and _QUOTED.fullmatch(value):
            return f"{field!r} has a blank before its quotes, which are part of it so: remove the blank"
    return None


def is_total(fields: Mapping[str, Any]) -> bool:
    """Whether the first text of a row is what stands below a table: a total, or how many rows it has."""
    text = next((value for value in fields.values() if not is_blank(value)), None)
    return isinstance(text, str) and _TOTAL.fullmatch(text.strip()) is not None


def is_divider(cells: Iterable[Any]) -> bool:
    """Whether all that is in these cells is lines: dashes and the signs that programs draw tables with."""
    found = False
    for cell in cells:
        if isinstance(cell, str) and cell[:1].isalnum():
            return False
        if is_blank(cell):
            continue
        if not isinstance(cell, str) or _DIVIDER.fullmatch(cell) is None:
            return False
        found = True
    return found


def is_by_columns(fields: Mapping[str, Any]) -> bool:
    """Whether an object is a whole table, each of its fields a column of it."""
    if "columns" in fields and "data" in fields:
        return isinstance(fields["columns"], list) and isinstance(fields["data"], list)
    values = list(fields.values())
    if not values or not isinstance(values[0], (list, dict)):
        return False
    if all(isinstance(value, list) and value for value in values):
        return len(set(map(len, values))) == 1
    indexes = [value.keys() for value in values if isinstance(value, dict) and value]
    return len(indexes) == len(values) and all(index == indexes[0] for index in indexes)


def _is_header(
    fields: Mapping[str, Any], read: Sequence[tuple[str, str]], input_names: Collection[str]
) -> bool:
    """Whether all values of inputs are names, in whatever order and spelling.

    One value alone has to be the name of its own field or input: there are companies with any name.
    """
    own = False
    texts = set()
    for name, field in read:
        value = fields.get(field)
        if is_blank(value):
            continue
        if not isinstance(value, str) or len(value) > _MAX_NAME:
            return False
        # Without the memory that folded() has, which is for names.
        text = folded.__wrapped__(value)
        if text not in input_names and text not in map(folded, fields):
            return False
        own = own or text in (folded(name), folded(field))
        texts.add(text)
    return own or (len(texts) > 1 and not texts.isdisjoint(input_names))


_WAY_OUT = "if that is the header, remove the lines above it"


class Preamble:
    """Finds the real header among the rows, where the first line has none of the names that are wanted.

    :param header: the first line.
    :param is_name: whether a text is the name of an input, or of a field that the batch names.
    """

    def __init__(self, header: Sequence[str], is_name: Callable[[str], bool]) -> None:
        self._header = header
        self._is_name = is_name
        self._may_be = bool(header) and not any(map(is_name, header))
        self._named: str | None = None
        self._rows = 0
        self._longer: Counter[int] = Counter()
        self._first: dict[int, str] = {}

    def check(self, place: str, found: dict[str, Any] | InvalidRequestError) -> None:
        """See whether this row is the header."""
        if not self._may_be or self._named:
            return
        self._rows += 1
        if isinstance(found, Ragged):
            cells = found.cells
            if found.is_longer:
                self._longer[len(cells)] += 1
                self._first.setdefault(len(cells), place)
        elif isinstance(found, dict):
            cells = [cell for cell in found.values() if isinstance(cell, str)]
        else:
            return
        if names := [cell for cell in cells if self._is_name(cell)]:
            self._named = f"{place} has the names {', '.join(map(repr, names))}: {_WAY_OUT}"

    @property
    def problem(self) -> str | None:
        """Where the header is; None if the first line may be it."""
        if self._named or not self._longer:
            return self._named
        [(usual, count)] = self._longer.most_common(1)
        if 2 * count <= self._rows:
            return None
        return (
            f"the header has {cell_count(len(self._header))}, and most lines have {usual}, the first of them "
            f"{self._first[usual]}: {_WAY_OUT}"
        )


# Places that are named for one word.
_MAX_PLACES = 3


@dataclass(slots=True)
class PossibleNull:
    """A word that rows have as an input, or in their key.

    :param key: of the input, as a run takes it; or the field of the row's key.
    :param places: of the first rows that have it.
    :param rows: how many have it.
    """

    key: str
    word: str
    places: list[str]
    rows: int = 0

    def warning(self, input_name: str) -> str:
        """Return a line for the log, of an input."""
        return f"{self._have(input_name)}, and it is sent as it is; {self._way_out}"

    @property
    def key_warning(self) -> str:
        """A line for the log, of a key."""
        return f"{self._have(self.key)}, which row_key names, so they may be duplicates; {self._way_out}"

    def _have(self, name: str) -> str:
        places = ", ".join(self.places) + (", …" if self.rows > len(self.places) else "")
        have = "1 row has" if self.rows == 1 else f"{self.rows:,} rows have"
        return f"{have} {self.word!r} as {name} ({places})"

    @property
    def _way_out(self) -> str:
        return f"if that means nothing: null_values=[{self.word!r}, …]"


class PossibleNulls:
    """Counts such words."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], PossibleNull] = {}

    def check(self, place: str, inputs: Mapping[str, Any]) -> None:
        """Count those among some values of a row."""
        for key, value in inputs.items():
            if isinstance(value, str) and _may_mean_nothing(word := trimmed(value)):
                found = self._found.setdefault((key, word), PossibleNull(key, word, []))
                found.rows += 1
                if len(found.places) < _MAX_PLACES:
                    found.places.append(place)

    @property
    def found(self) -> tuple[PossibleNull, ...]:
        """Those that were found, in the order of the rows."""
        return tuple(self._found.values())

    @property
    def repeated(self) -> tuple[PossibleNull, ...]:
        """Those that more than one row has."""
        return tuple(word for word in self.found if word.rows > 1)


def _may_mean_nothing(word: str) -> bool:
    return bool(word) and (word.casefold() in _WORDS or not any(map(str.isalnum, word)))


# Those that pandas reads as missing, and what spreadsheets, databases and people write beside them.
_WORDS = frozenset(
    {"null", "(null)", "[null]", "<null>", "na", "n/a", "n.a.", "n.a", "<na>", "nan", "-nan", "nat", "none"}
    | {"nil", "notset", "undefined", "(blank)", "(empty)", "empty", "missing", "inf", "-inf", r"\n"}
    | {"#n/a n/a", "#na", "#num!", "#nv", "#wert!", "#bezug!", "#name", "#spill!", "#calc!", "#getting_data"}
    | {"1.#ind", "1.#qnan", "-1.#ind", "-1.#qnan"}
)


def hint(fields: Mapping[str, Any]) -> str:
    """Return what else may be wrong with rows whose fields are not the expected ones."""
    if place := _rows_within(fields):
        return f" (if {place!r} holds the rows, give that list alone)"
    if is_by_columns(fields):
        return f" (it is {BY_COLUMNS})"
    if separators := {each[0] for name in fields if (each := _OTHER_SEPARATORS.search(name))}:
        found = " or ".join(map(repr, sorted(separators)))
        return f" (if cells are separated by {found}, write sep= and that character as the first line)"
    return ""


def _rows_within(fields: Mapping[str, Any]) -> str | None:
    """Where an object holds a list of objects, or an empty one."""
    for name, value in fields.items():
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return name
        if isinstance(value, dict) and (inner := _rows_within(value)):
            return f"{name}.{inner}"
    return None


_OTHER_SEPARATORS = re.compile("[;\t|]")
