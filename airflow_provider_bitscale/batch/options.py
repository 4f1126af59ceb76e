"""Pure: the options of a batch, checked all at once."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_bitscale.batch.table.storage import FORMATS, OutputFormat, path_problems
from airflow_provider_bitscale.runs.options import GridOptions, are_texts, choice_problems, is_number

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_bitscale.api.contracts import Contract

OnAmbiguousRow = Literal["park", "resubmit"]
# Of fewer failures a share says little: they end no submitting, but count at the end.
FEWEST_FAILURES_TO_STOP = 10
# In rows: a segment's record in the task's state store has to stay below 64 KB.
MAX_SEGMENT_SIZE = 1000
_SOURCES = ("rows", "rows_path", "retry_failed_from", "collect_unknown_from")
_PATHS = (*_SOURCES[1:], "output_path")


@dataclass(frozen=True, kw_only=True)
class BatchOptions(GridOptions):
    """What a task wants of its batch, by the arguments of RunGridBatchOperator.

    :param run_timeout: seconds, as ``batch_timeout``.
    """

    rows: list[dict[str, Any]] | None
    rows_path: str | ObjectStoragePath | None
    retry_failed_from: str | ObjectStoragePath | None
    collect_unknown_from: str | ObjectStoragePath | None
    output_path: str | ObjectStoragePath | None
    input_fields: dict[str, str] | None
    row_key: str | list[str] | None
    max_credits: float | None
    max_failed_rows: int | str
    fail_when_incomplete: bool
    max_in_flight: int | None
    run_timeout: float
    batch_timeout: float | None
    segment_size: int
    output_format: OutputFormat
    csv_escape_formulas: bool
    null_values: Collection[str] | None
    on_ambiguous_submit: OnAmbiguousRow

    def problems(self, *, rendered: bool = True) -> list[str]:
        """As :meth:`GridOptions.problems`."""
        problems = (self._path_problems() if rendered else []) + super().problems(rendered=rendered)
        given = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            problems.append(
                f"give one of {', '.join(_SOURCES)}, not {' and '.join(given)}"
                if given
                else f"there are no rows: none of {', '.join(_SOURCES)} is given, or all of them are None"
            )
        fields, row_key, max_credits = self.input_fields, self.row_key, self.max_credits
        if fields is not None and not (
            isinstance(fields, dict) and fields and are_texts(list(fields.values()))
        ):
            problems.append(
                "input_fields must map names or ids of inputs to the fields of a row with their values, not "
                f"{fields!r}"
            )
        if not (row_key is None or isinstance(row_key, str) or (are_texts(row_key) and row_key)):
            problems.append(f"row_key must be a field of the rows or a list of fields, not {row_key!r}")
        problems += choice_problems(OnAmbiguousRow, on_ambiguous_submit=self.on_ambiguous_submit)
        problems += choice_problems(OutputFormat, output_format=self.output_format)
        if self.output_format in FORMATS[1:] and self.output_path is None:
            problems.append(
                f"output_format is {self.output_format!r}, but there is no output_path to write to"
            )
        if allowed_failures(self.max_failed_rows, 100) is None:
            problems.append(
                f'max_failed_rows must be a whole number or like "10%", not {self.max_failed_rows!r}'
            )
        if self.max_in_flight is not None and not _is_whole(self.max_in_flight, 1):
            problems.append(f"max_in_flight must be a whole number above 0, not {self.max_in_flight!r}")
        if not _is_whole(self.segment_size, 1, MAX_SEGMENT_SIZE):
            problems.append(f"segment_size must be from 1 to {MAX_SEGMENT_SIZE:,}, not {self.segment_size!r}")
        if max_credits is not None and (rendered or is_number(max_credits)) and not _is_amount(max_credits):
            problems.append(f"max_credits must be a number that is not negative, not {max_credits!r}")
        return problems

    def unsupported(self, contract: Contract) -> str | None:
        """Return which option this contract of the API does not support; None if it supports all."""
        if self.max_credits is not None and not contract.tells_run_credits:
            return (
                f"the API contract {contract.name} does not tell what runs cost: max_credits cannot be kept, "
                "leave it out"
            )
        if self.webhook_url is not None and not contract.delivers_runs:
            return f"the API contract {contract.name} delivers no runs: leave webhook_url out"
        return None

    def _path_problems(self) -> list[str]:
        return [
            problem
            for name in _PATHS
            if (path := getattr(self, name)) is not None
            for problem in path_problems(name, str(path), written=name == "output_path")
        ]


def allowed_failures(max_failed_rows: Any, rows: int) -> int | None:
    """How many of the rows may fail, by a number or a share like ``"10%"``; None if it is neither."""
    if _is_whole(max_failed_rows, 0):
        return int(max_failed_rows)
    if not isinstance(max_failed_rows, str) or not max_failed_rows.endswith("%"):
        return None
    try:
        share = float(max_failed_rows[:-1])
    except ValueError:
        return None
    return int(rows * share / 100) if 0 <= share <= 100 else None


def failures_to_go_on_with(max_failed_rows: Any, rows: int) -> int:
    """How many of the rows may fail while more are submitted: with a share, a few in any case."""
    allowed = allowed_failures(max_failed_rows, rows) or 0
    return max(allowed, FEWEST_FAILURES_TO_STOP - 1) if isinstance(max_failed_rows, str) else allowed


def _is_whole(value: Any, least: int, most: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_amount(value: Any) -> bool:
    """Whether it is an amount of credits, perhaps as the text that a template gave."""
    try:
        return math.isfinite(float(value)) and float(value) >= 0 and not isinstance(value, bool)
    except (TypeError, ValueError, OverflowError):
        return False
