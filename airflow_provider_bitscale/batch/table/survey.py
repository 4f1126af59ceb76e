"""Pure: checks all rows of an input before any is paid for, and cuts them into segments."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any

from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.table import data_quality
from airflow_provider_bitscale.batch.table.mapping import RowMapping, canonical
from airflow_provider_bitscale.batch.table.raw_rows import Record
from airflow_provider_bitscale.batch.table.readers import Source
from airflow_provider_bitscale.batch.table.row_errors import RowErrors
from airflow_provider_bitscale.runs.field_names import listed


@dataclass(frozen=True, slots=True)
class Row:
    """A row to run, unless it is a duplicate.

    :param index: its position in the input, from 0.
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
    :param fields: of all rows, in the order in which they come first.
    :param possible_nulls: words among the inputs that may mean no value.
    :param possible_key_nulls: such words that more than one row has in a field of its key.
    :param total: the place of the last row, where that looks like a total.
    """

    rows: int
    duplicates: int
    digests: tuple[str, ...]
    fingerprint: str
    fields: tuple[str, ...] = ()
    possible_nulls: tuple[data_quality.PossibleNull, ...] = ()
    possible_key_nulls: tuple[data_quality.PossibleNull, ...] = ()
    total: str | None = None


def survey(
    source: Source,
    mapping: RowMapping,
    segment_size: int,
    tell_fields: Callable[[Sequence[str]], None] = lambda fields: None,
) -> Survey:
    """Go through all rows once, before anything is paid for.

    :param segment_size: rows in a segment.
    :param tell_fields: called with the fields of all rows, before anything is said against them.
    :raises InvalidRequestError: naming every row that cannot be run, or fields that are named and in no row.
    """
    rows = duplicates = 0
    problems = RowErrors()
    digests: list[str] = []
    seen: set[bytes] = set()
    known: dict[str, None] = {}
    first: dict[str, Any] = {}
    possible_nulls, possible_key_nulls = data_quality.PossibleNulls(), data_quality.PossibleNulls()
    preamble: data_quality.Preamble | None = None
    last: tuple[str, dict[str, Any]] | None = None
    for segment in _cut(source, segment_size):
        digest = _digest_of(segment)
        preamble = preamble or data_quality.Preamble(source.header, mapping.is_name)
        for place, found in segment:
            preamble.check(place, found)
            try:
                fields = _whole(found)
                first = first or fields
                known.update(dict.fromkeys(fields))
                if digest is None:
                    canonical(fields)
                row = _row(rows, fields, mapping, seen)
            except InvalidRequestError as problem:
                problems.add(place, problem.message)
            else:
                duplicates += row.duplicate
                possible_nulls.check(place, row.inputs)
                possible_key_nulls.check(place, mapping.key_values(fields))
                last = place, fields
            rows += 1
        digests.append(digest or "")
    if preamble and preamble.problem:
        raise InvalidRequestError(preamble.problem)
    known = known or dict.fromkeys(source.header)
    tell_fields(tuple(known))
    if known and (unknown := sorted(mapping.named_fields.difference(known))):
        # One mistake, which may be what is wrong with every row.
        named, there_are = ", ".join(map(repr, unknown)), listed(known, unknown)
        raise InvalidRequestError(
            f"no row has the field {named}; there are {there_are}{data_quality.hint(first)}"
        )
    if known and not rows:
        # A table of other fields would be one tomorrow, too, and with rows.
        mapping.check_fields(tuple(known))
    if problems.rows:
        mapping.check_required(tuple(known))
        raise InvalidRequestError(f"{problems.rows:,} of {rows:,} rows cannot be run: {problems}")
    return Survey(
        rows,
        duplicates,
        tuple(digests),
        _digest(canonical(digests)),
        tuple(known),
        possible_nulls.found,
        possible_key_nulls.repeated,
        last[0] if last and data_quality.is_total(last[1]) else None,
    )


def read_segments(
    source: Source, mapping: RowMapping, segment_size: int, survey: Survey, finished: Container[int] = ()
) -> Iterator[Segment]:
    """Yield the rows again, to be run.

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
            seen.update(key for fields in found if (key := mapping.key_of(fields)) is not None)
        elif digest is None or _digest_of(segment) != digest:
            raise _changed()
        else:
            yield Segment(
                number, tuple(_row(index, fields, mapping, seen) for index, fields in enumerate(found, rows))
            )
        rows += len(found)
    if next(digests, None) is not None:
        raise _changed()


def _cut(source: Source, segment_size: int) -> Iterator[list[Record]]:
    records = source.read()
    while segment := list(islice(records, segment_size)):
        yield segment


def _row(index: int, fields: dict[str, Any], mapping: RowMapping, seen: set[bytes]) -> Row:
    """:param seen: keys of earlier rows; that of this one is added."""
    inputs = mapping.inputs_of(fields)
    key = mapping.key_of(fields)
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
    """Return a digest of the fields of all rows that can be read; None if some are not JSON."""
    try:
        return _digest(canonical(_readable(segment)))
    except InvalidRequestError:
        return None


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]
