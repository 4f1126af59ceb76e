"""Pure: from the fields of rows to what runs take, and what speaks against any row before one is paid for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import Any, Protocol

from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.cells import reader_of
from airflow_provider_bitscale.batch.row_problems import RowProblems
from airflow_provider_bitscale.batch.sources import Record, Source
from airflow_provider_bitscale.runs.grid_form import GridForm
from airflow_provider_bitscale.runs.inputs import InputNames

# Sets of fields that are remembered. A table's rows have the same; JSON lines may leave out what is null.
_MAX_READINGS = 256


@dataclass(frozen=True, slots=True)
class Row:
    """A row to run, unless it is a duplicate.

    :param index: its position in the input, from 0.
    :param fields: as it came.
    :param inputs: values by the key that a run takes.
    :param duplicate: whether an earlier row has the same key.
    """

    index: int
    fields: dict[str, Any]
    inputs: dict[str, Any]
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive rows; ``number`` counts from 0."""

    number: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """What a source holds, as :func:`survey` found it.

    :param rows: how many, duplicates included.
    :param digests: one for each segment, of its rows' fields.
    :param fingerprint: a digest of them all.
    """

    rows: int
    duplicates: int
    digests: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """How rows with the same fields are read: (name of an input, field, conversion) for each input."""

    names: InputNames
    cells: tuple[tuple[str, str, Callable[[Any], Any]], ...]


class Form(Protocol):
    """What is read of a row; see :class:`RowForm`."""

    @property
    def named_fields(self) -> frozenset[str]: ...
    def inputs_of(self, fields: Mapping[str, Any], /) -> dict[str, Any]: ...
    def key_of(self, fields: Mapping[str, Any], /) -> bytes | None: ...


class RowForm:
    """What the rows of a batch have in common: which fields are inputs, and which tell rows apart.

    :param mapping: by name, id or label of an input, the field of the row with its value; a row without the
        field has no value for it. None: every field that is named like an input is one.
    :param row_key: the field or fields by which rows are the same; None if no two are.
    :param text: whether all values are text. Numbers and booleans are then read as their column's type; what
        is none is left for the grid's form to refuse. Empty is None.
    :raises InvalidRequestError: the mapping names what is no input.
    """

    def __init__(
        self,
        form: GridForm,
        mapping: Mapping[str, str] | None,
        row_key: str | Sequence[str] | None,
        text: bool,
    ) -> None:
        self._form = form
        self._mapping = mapping
        self._text = text
        self._key_fields = (row_key,) if isinstance(row_key, str) else tuple(row_key or ())
        self._reading = lru_cache(_MAX_READINGS)(self._reading_of)
        if mapping is not None and (problems := form.names(mapping).problems):
            raise InvalidRequestError(f"inputs: {'; '.join(problems)}")

    @property
    def named_fields(self) -> frozenset[str]:
        """Fields that the mapping or the key names."""
        return frozenset(self._key_fields).union(() if self._mapping is None else self._mapping.values())

    def inputs_of(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """A row's values by the key that a run takes.

        :raises InvalidRequestError: naming everything that speaks against the row.
        """
        reading = self._reading(tuple(fields) if self._mapping is None else ())
        if not reading.cells:
            named = ", ".join(map(repr, fields))
            raise InvalidRequestError(f"none of its fields is an input: {named}{_hint(fields)}")
        values = {name: read(fields.get(field)) for name, field, read in reading.cells}
        inputs, problems = reading.names.fill_in(values)
        if not problems and not any(str(value).strip() for value in inputs.values()):
            problems = ["no input has a value: a blank row would be paid for"]
        if problems:
            raise InvalidRequestError(", ".join(problems))
        return inputs

    def key_of(self, fields: Mapping[str, Any]) -> bytes | None:
        """A digest (16 bytes) that is the same for rows that are the same.

        None where there is no ``row_key``, and for a row whose key has no value: nothing says that two of
        those are the same.

        :raises InvalidRequestError: a field of the key is missing.
        """
        if not self._key_fields:
            return None
        if missing := [field for field in self._key_fields if field not in fields]:
            raise InvalidRequestError(f"it has no field {', '.join(map(repr, missing))}, which row_key names")
        values = [fields[field] for field in self._key_fields]
        if all(value in (None, "") for value in values):
            return None
        return blake2b(_canonical(values), digest_size=16).digest()

    def _reading_of(self, fields: tuple[str, ...]) -> _Reading:
        mapping = self._mapping
        if mapping is None:
            mapping = {field: field for field in fields if self._form.may_be_input(field)}
        names = self._form.names(mapping)
        return _Reading(
            names,
            tuple(
                (name, field, reader_of(names.columns.get(name)) if self._text else _as_it_is)
                for name, field in mapping.items()
            ),
        )


def survey(source: Source, row_form: Form, segment_size: int, max_problems: int = 20) -> Survey:
    """Go through all rows once, before anything is paid for.

    :param segment_size: rows in a segment.
    :param max_problems: different problems of rows that the error tells; it counts all rows.
    :raises InvalidRequestError: naming every row that cannot be run, or fields that are named and in no row.
    """
    rows = readable = duplicates = 0
    problems = RowProblems(max_problems)
    digests: list[str] = []
    seen: set[bytes] = set()
    never_seen = set(row_form.named_fields)
    for segment in _cut(source, segment_size):
        digest = _digest_of(segment)
        for place, found in segment:
            try:
                fields = _whole(found)
                readable += 1
                if never_seen:
                    never_seen.difference_update(fields)
                if digest is None:
                    _canonical(fields)
                row = _row(rows, fields, row_form, seen)
            except InvalidRequestError as problem:
                problems.add(place, problem.message)
            else:
                duplicates += row.duplicate
            rows += 1
        digests.append(digest or "")
    if readable and never_seen:
        # One mistake, which may be what is wrong with every row.
        named = ", ".join(map(repr, sorted(never_seen)))
        raise InvalidRequestError(f"no row has the field {named}{_hint(fields)}")
    if problems.rows:
        raise InvalidRequestError(f"{problems.rows:,} of {rows:,} rows cannot be run: {problems}")
    return Survey(rows, duplicates, tuple(digests), _digest(_canonical(digests)))


def segments(
    source: Source, row_form: Form, segment_size: int, survey: Survey, finished: Container[int] = ()
) -> Iterator[Segment]:
    """The rows again, to be run.

    :param segment_size: as for the survey.
    :param finished: numbers of segments that are left out.
    :raises InvalidRequestError: they are not those that were surveyed. A changed segment is not given out.
    """
    digests = iter(survey.digests)
    seen: set[bytes] = set()
    rows = 0
    for number, segment in enumerate(_cut(source, segment_size)):
        found = _readable(segment)
        digest = next(digests, None)
        if number in finished:
            seen.update(key for fields in found if (key := row_form.key_of(fields)) is not None)
        elif digest is None or _digest_of(segment) != digest:
            raise _changed()
        else:
            yield Segment(
                number, tuple(_row(index, fields, row_form, seen) for index, fields in enumerate(found, rows))
            )
        rows += len(found)
    if next(digests, None) is not None:
        raise _changed()


def _hint(fields: Iterable[str]) -> str:
    """What else may be wrong with rows that have but these fields."""
    names = list(fields)
    separator = _OTHER_SEPARATORS.search(names[0]) if len(names) == 1 else None
    return f" (cells of CSV are separated by commas, not by {separator[0]!r})" if separator else ""


def _cut(source: Source, segment_size: int) -> Iterator[list[Record]]:
    records = source.read()
    while segment := list(islice(records, segment_size)):
        yield segment


def _row(index: int, fields: dict[str, Any], row_form: Form, seen: set[bytes]) -> Row:
    """:param seen: keys of earlier rows; that of this one is added."""
    inputs = row_form.inputs_of(fields)
    key = row_form.key_of(fields)
    duplicate = key in seen
    if key is not None:
        seen.add(key)
    return Row(index, fields, inputs, duplicate)


def _whole(found: dict[str, Any] | InvalidRequestError) -> dict[str, Any]:
    if isinstance(found, InvalidRequestError):
        raise found
    return found


def _changed() -> InvalidRequestError:
    return InvalidRequestError("the input has changed while it was read")


def _readable(segment: Iterable[Record]) -> list[dict[str, Any]]:
    return [fields for _, fields in segment if not isinstance(fields, InvalidRequestError)]


def _digest_of(segment: Iterable[Record]) -> str | None:
    """A digest of the fields of all rows that can be read; None if there are some that are not JSON."""
    try:
        return _digest(_canonical(_readable(segment)))
    except InvalidRequestError:
        return None


def _digest(canonical: bytes) -> str:
    return blake2b(canonical, digest_size=8).hexdigest()


_ENCODER = json.JSONEncoder(sort_keys=True, allow_nan=False, separators=(",", ":"))


def _canonical(value: Any) -> bytes:
    """A value as the same JSON each time.

    :raises InvalidRequestError: it is not JSON.
    """
    try:
        return _ENCODER.encode(value).encode()
    except (TypeError, ValueError, RecursionError) as problem:
        raise InvalidRequestError(f"it is not JSON: {problem}") from None


def _as_it_is(value: Any) -> Any:
    return value


_OTHER_SEPARATORS = re.compile("[;\t|]")
