"""Pure: what is wrong with the options of a batch, all at once, when the DAG is parsed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from airflow_provider_bitscale.api.contracts import Contract
from airflow_provider_bitscale.batch.table.storage import FORMATS
from airflow_provider_bitscale.runs.options import are_texts, is_number, option_problems

OnAmbiguousRow = Literal["park", "resubmit"]
# Of fewer failures a share says little: they end no submitting, but count at the end.
FEWEST_FAILURES_TO_STOP = 10
# In rows: a segment's record in the task's state store has to stay below 64 KB.
MAX_SEGMENT_SIZE = 1000


def batch_option_problems(
    *,
    sources: Mapping[str, Any],
    input_fields: Any,
    trust_webhook: Any,
    row_key: Any,
    max_credits: Any,
    max_failed_rows: Any,
    max_in_flight: Any,
    run_timeout: Any,
    batch_timeout: Any,
    segment_size: Any,
    output_path: Any,
    output_format: Any,
    csv_escape_formulas: Any,
    null_values: Any,
    miss_values: Any,
    on_ambiguous_submit: Any,
    fail_when_incomplete: Any,
    rendered: bool,
) -> list[str]:
    """Return what is wrong with the options of a batch, one sentence each; empty if nothing is.

    :param sources: where the rows come from, by argument; exactly one is to be given.
    :param rendered: False while a template may stand for ``max_credits``.
    """
    problems = option_problems(
        run_timeout=run_timeout,
        trust_webhook=trust_webhook,
        null_values=() if null_values is None else null_values,
        miss_values=miss_values,
        fail_when_incomplete=fail_when_incomplete,
        csv_escape_formulas=csv_escape_formulas,
    )
    given = [name for name, value in sources.items() if value is not None]
    if len(given) != 1:
        problems.append(
            f"give one of {', '.join(sources)}, not {' and '.join(given)}"
            if given
            else f"there are no rows: none of {', '.join(sources)} is given, or all of them are None"
        )
    if input_fields is not None and not (
        isinstance(input_fields, dict) and input_fields and are_texts(list(input_fields.values()))
    ):
        problems.append(
            "input_fields must map names or ids of inputs to the fields of a row with their values, not "
            f"{input_fields!r}"
        )
    if not (row_key is None or isinstance(row_key, str) or (are_texts(row_key) and row_key)):
        problems.append(f"row_key must be a field of the rows or a list of fields, not {row_key!r}")
    if on_ambiguous_submit not in get_args(OnAmbiguousRow):
        problems.append(f"on_ambiguous_submit must be park or resubmit, not {on_ambiguous_submit!r}")
    if output_format not in FORMATS:
        problems.append(f"output_format must be {' or '.join(FORMATS)}, not {output_format!r}")
    elif output_format != FORMATS[0] and output_path is None:
        problems.append(f"output_format is {output_format!r}, but there is no output_path to write to")
    if allowed_failures(max_failed_rows, 100) is None:
        problems.append(f'max_failed_rows must be a whole number or like "10%", not {max_failed_rows!r}')
    if max_in_flight is not None and not _is_whole(max_in_flight, 1):
        problems.append(f"max_in_flight must be a whole number above 0, not {max_in_flight!r}")
    if not _is_whole(segment_size, 1, MAX_SEGMENT_SIZE):
        problems.append(f"segment_size must be from 1 to {MAX_SEGMENT_SIZE:,}, not {segment_size!r}")
    if batch_timeout is not None and not (is_number(batch_timeout) and batch_timeout > 0):
        problems.append(f"batch_timeout must be a number of seconds above 0, not {batch_timeout!r}")
    if max_credits is not None and (rendered or is_number(max_credits)) and not _is_amount(max_credits):
        problems.append(f"max_credits must be a number that is not negative, not {max_credits!r}")
    return problems


def unsupported_option(contract: Contract, *, max_credits: Any, webhook_url: Any) -> str | None:
    """Return what is given that cannot be kept with this contract of the API; None if nothing is."""
    if max_credits is not None and not contract.tells_run_credits:
        return (
            f"the API contract {contract.name} does not tell what runs cost: max_credits cannot be kept, "
            "leave it out"
        )
    if webhook_url is not None and not contract.delivers_runs:
        return f"the API contract {contract.name} delivers no runs: leave webhook_url out"
    return None


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
