"""Pure: which fields of a row are inputs of its run, and by which key rows are duplicates."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any
from unicodedata import normalize

from airflow_provider_bitscale.api.blank import NULL_VALUES, is_blank, trimmed
from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.table.coercion import converter_of
from airflow_provider_bitscale.batch.table.data_quality import hint, oddity
from airflow_provider_bitscale.runs.field_names import folded, listed, nearest
from airflow_provider_bitscale.runs.grid_schema import GridSchema
from airflow_provider_bitscale.runs.inputs import InputNames

# Sets of fields that are remembered. A table's rows have the same; JSON lines may leave out what is null.
_MAX_READINGS = 256
_ENCODER = json.JSONEncoder(sort_keys=True, allow_nan=False, separators=(",", ":"))


class RowMapping:
    """How rows are read that are only collected: no inputs, no key. :class:`InputMapping` has both."""

    @property
    def named_fields(self) -> frozenset[str]:
        """Fields that every table has to have."""
        return frozenset()

    def is_name(self, text: str) -> bool:
        """Whether a text is the name of a field that is read, however it is spelled."""
        return False

    def check_fields(self, fields: Sequence[str]) -> None:
        """Refuse a table whose fields are wrong, whatever its rows.

        :raises InvalidRequestError: no field is an input, or none is one that the grid requires.
        """

    def check_required(self, fields: Sequence[str]) -> None:
        """Refuse a table that lacks required inputs."""

    def inputs_of(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row's values by the key that a run takes.

        :raises InvalidRequestError: naming everything that is wrong with the row.
        """
        return {}

    def key_of(self, fields: Mapping[str, Any]) -> bytes | None:
        """Return a digest that is the same for rows that are duplicates; None for no key."""
        return None

    def key_values(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is compared of a row that has all fields of the key; None for what is blank."""
        return {}


@dataclass(frozen=True, slots=True)
class Matching:
    """Which fields the inputs of a batch come from.

    :param filled: the fields by name of the input; more than one where rows differ.
    :param unfilled: for each input without a field, one that is not used and has a similar name; None
        where there is none, or where the batch has a mapping.
    """

    filled: Mapping[str, Sequence[str]]
    unfilled: Mapping[str, str | None]

    def __str__(self) -> str:
        filled = [f"{' or '.join(map(repr, fields))} → {name!r}" for name, fields in self.filled.items()]
        unfilled = [
            repr(name)
            + (f" (is it the field {field!r}? input_fields={{{name!r}: {field!r}}})" if field else "")
            for name, field in self.unfilled.items()
        ]
        nothing = f"; inputs that get nothing: {', '.join(unfilled)}" if unfilled else ""
        return f"Fields → inputs: {', '.join(filled) or 'none'}{nothing}"


@dataclass(frozen=True, slots=True)
class _Reading:
    """How rows with the same fields are read: (name of an input, field, conversion) for each input.

    :param pairs: the same without conversions.
    """

    names: InputNames
    cells: tuple[tuple[str, str, Callable[[Any], Any]], ...]
    pairs: tuple[tuple[str, str], ...]


def canonical(value: Any) -> bytes:
    """Return a value as the same JSON each time, whatever the order of its fields.

    :raises InvalidRequestError: it is not JSON.
    """
    try:
        return _ENCODER.encode(value).encode()
    except (TypeError, ValueError, RecursionError) as problem:
        raise InvalidRequestError(f"it is not JSON: {problem}") from None


class InputMapping(RowMapping):
    """What the rows of a batch have in common: which fields are inputs, and which make up the key.

    Numbers, booleans and dates are read from text where it is certain what they mean; what is not certain is
    left for the grid's schema to refuse.

    :param mapping: by name, id or label of an input, the field of the row with its value; a row without the
        field has no value for it. None: every field that is named like an input is one.
    :param row_key: the field or fields by which rows are the same; None if no two are.
    :param null_values: texts that mean no value.
    :raises InvalidRequestError: the mapping names something that is not an input.
    """

    def __init__(
        self,
        schema: GridSchema,
        mapping: Mapping[str, str] | None = None,
        row_key: str | Sequence[str] | None = None,
        null_values: Collection[str] = NULL_VALUES,
    ) -> None:
        self._schema = schema
        self._mapping = mapping
        self._key_fields = (row_key,) if isinstance(row_key, str) else tuple(row_key or ())
        self._null_values = frozenset(null_values)
        self._reading = lru_cache(_MAX_READINGS)(self._reading_of)
        # A header has the names of fields in place of those of the inputs that they are mapped to.
        self._folded_names = frozenset(
            map(folded, (*schema.input_names.values(), *(() if mapping is None else mapping.values())))
        )
        if mapping is not None and (problems := schema.names(mapping).problems):
            raise InvalidRequestError(f"input_fields: {'; '.join(problems)}")

    @property
    def named_fields(self) -> frozenset[str]:
        """Fields that the mapping or the key names."""
        return frozenset(self._key_fields).union(() if self._mapping is None else self._mapping.values())

    def is_name(self, text: str) -> bool:
        if self._mapping is None:
            return self._schema.may_be_input(text) or text in self._key_fields
        return folded(text) in map(folded, self.named_fields)

    def check_fields(self, fields: Sequence[str]) -> None:
        reading = self._reading_of(tuple(fields))
        if not reading.cells:
            raise InvalidRequestError(self._no_input_among(dict.fromkeys(fields)))
        self.check_required(fields)

    def check_required(self, fields: Sequence[str]) -> None:
        """Refuse a table that lacks required inputs, if some fields are inputs: else its rows show more.

        :raises InvalidRequestError: no field is an input that the grid requires.
        """
        reading = self._reading_of(tuple(fields))
        given = reading.names.keys.values()
        missing = [each.name for each in reading.names.required if each.id not in given]
        if not missing or not reading.cells:
            return
        meant = ", ".join(
            [f"{name!r}: '…'" for name in missing] + [f"{name!r}: {field!r}" for name, field in reading.pairs]
        )
        no_field = "no field is" if self._mapping is None else "input_fields names no field for"
        raise InvalidRequestError(
            f"{no_field} the required input {', '.join(map(repr, missing))}; there are "
            f"{listed(fields, missing)}. Write input_fields={{{meant}}} with the field that is meant"
        )

    def inputs_of(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        reading = self._reading(tuple(fields) if self._mapping is None else ())
        if not reading.cells:
            raise InvalidRequestError(self._no_input_among(fields))
        if problem := oddity(fields, reading.pairs, self._folded_names):
            raise InvalidRequestError(problem)
        if reading.names.problems and self._mapping is None:
            # An input is given twice, or may be one of two, only by fields with a value.
            reading = self._reading(tuple(field for field in fields if not self._is_blank(fields[field])))
        values = {
            name: None if self._is_blank(value := fields.get(field)) else read(value)
            for name, field, read in reading.cells
        }
        inputs, problems = reading.names.fill_in(values)
        if not problems and not inputs:
            problems = ["no input has a value: a blank row would be paid for"]
        if problems:
            raise InvalidRequestError(", ".join(problems + self._hints(reading, fields)))
        return inputs

    def _is_blank(self, value: Any) -> bool:
        return is_blank(value, self._null_values)

    def _hints(self, reading: _Reading, fields: Mapping[str, Any]) -> list[str]:
        hints = []
        if reading.names.problems and self._mapping is None:
            hints.append("input_fields={…} says which field is meant")
        if nulls := self._null_values.intersection(
            str(fields.get(field)).strip() for _, field, _ in reading.cells
        ):
            hints.append(f"{', '.join(map(repr, sorted(nulls)))} means no value by null_values")
        return hints

    def key_of(self, fields: Mapping[str, Any]) -> bytes | None:
        """Return a digest (16 bytes) that is the same for rows that are the same.

        Spaces and invisible characters around texts do not count, and what is blank is the same however it
        is written. None where there is no ``row_key``, and for a row whose key is all blank: two of those
        may differ.

        :raises InvalidRequestError: a field of the key is missing.
        """
        if not self._key_fields:
            return None
        if missing := [field for field in self._key_fields if field not in fields]:
            raise InvalidRequestError(f"it has no field {', '.join(map(repr, missing))}, which row_key names")
        values = list(self.key_values(fields).values())
        if values.count(None) == len(values):
            return None
        return sha256(canonical(values)).digest()[:16]

    def key_values(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {field: self._key_part(fields[field]) for field in self._key_fields}

    def _key_part(self, value: Any) -> Any:
        if is_blank(value, self._null_values):
            return None
        # Programs write an accent as a character of its own, or as part of the letter (Unicode, UAX 15).
        return normalize("NFC", trimmed(value)) if isinstance(value, str) else value

    def matching(self, fields: Sequence[str]) -> Matching:
        """Which inputs get their values from which of these fields, of all rows together."""
        reading = self._reading_of(tuple(fields))
        filled: dict[str, list[str]] = {}
        for name, field, _ in reading.cells:
            if (key := reading.names.keys.get(name)) is not None:
                filled.setdefault(self._schema.input_names.get(key, key), []).append(field)
        used = {field for of_input in filled.values() for field in of_input}
        # The author of a mapping has seen the fields.
        free = [field for field in fields if field not in used] if self._mapping is None else []
        return Matching(
            filled,
            {
                name: next(iter(nearest(name, free, 1, _LIKENESS)), None)
                for name in self._schema.input_names.values()
                if name not in filled
            },
        )

    def _reading_of(self, fields: tuple[str, ...]) -> _Reading:
        mapping = self._mapping
        if mapping is None:
            mapping = {field: field for field in fields if self._schema.may_be_input(field)}
        names = self._schema.names(mapping)
        return _Reading(
            names,
            tuple((name, field, converter_of(names.columns.get(name))) for name, field in mapping.items()),
            tuple(mapping.items()),
        )

    def _no_input_among(self, fields: Mapping[str, Any]) -> str:
        inputs = dict.fromkeys(self._schema.input_names.values())
        takes = f"; the grid takes {listed(inputs)}" if inputs else ""
        meant = f"; input_fields={{{next(iter(inputs))!r}: '…'}} says which field is meant" if inputs else ""
        header = [
            text for text in fields.values() if isinstance(text, str) and self._schema.may_be_input(text)
        ]
        if header:
            return (
                f"it has the names of inputs as values, {', '.join(map(repr, header))}: if it is the header, "
                "remove the lines above it"
            )
        return f"none of its fields is an input: {listed(fields)}{takes}{hint(fields) or meant}"


# Of fields that are not inputs: below it, most are something else.
_LIKENESS = 0.75
