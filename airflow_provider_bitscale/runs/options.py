"""Pure: what is wrong with the options of an operator or sensor, all at once, when the DAG is parsed."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.contracts import Contract

Mode = Literal["async", "sync"]
OutputKey = Literal["name", "id"]
OnAmbiguousSubmit = Literal["fail", "resubmit"]
_CHOICES = {"key_outputs_by": get_args(OutputKey), "on_ambiguous_submit": get_args(OnAmbiguousSubmit)}
_FLAGS = (
    "fail_when_incomplete",
    "deferrable",
    "wait_for_completion",
    "validate_inputs",
    "trust_webhook",
    "csv_escape_formulas",
)
_DURATIONS = ("poll_interval", "timeout", "run_timeout", "undelivered_for")


def option_problems(**options: Any) -> list[str]:
    """Return what is wrong, one sentence each; empty if nothing is.

    :param options: arguments of an operator or sensor by name; None is for those that may be left out.
    """
    problems = []
    for name, value in options.items():
        if name in _CHOICES and value not in _CHOICES[name]:
            problems.append(f"{name} must be {' or '.join(_CHOICES[name])}, not {value!r}")
        elif name in _FLAGS and not (isinstance(value, bool) or (name == "deferrable" and value is None)):
            problems.append(f"{name} must be True or False, not {value!r}")
        elif name in _DURATIONS and not (is_number(value) and value > 0):
            problems.append(f"{name} must be a number of seconds above 0, not {value!r}")
        elif name in ("miss_values", "null_values") and not are_texts(value):
            problems.append(f"{name} must be a list of texts, not {value!r}")
        elif name == "min_credits" and value is not None and not (is_number(value) and value >= 0):
            problems.append(f"min_credits must be a number that is not negative, not {value!r}")
    if options.get("mode") == "sync" and options.get("wait_for_completion") is False:
        problems.append("wait_for_completion=False goes with mode='async' only")
    return problems


def unsupported_wait(contract: Contract, *, mode: str, deferrable: bool | None) -> str | None:
    """Return why this contract of the API cannot wait as these options ask; None if it can."""
    # A global default of deferrable is not the author's word, and is passed over.
    if mode == "sync" and deferrable and not contract.cuts_sync_off:
        return (
            f"deferrable=True goes with mode='async' only: under the API contract {contract.name} a sync run "
            "is answered when it has ended"
        )
    return None


def seconds(duration: Any) -> Any:
    """Return a duration in seconds; other values are left to :func:`option_problems`."""
    return duration.total_seconds() if isinstance(duration, timedelta) else duration


def are_texts(value: Any) -> bool:
    """Whether it is a list, or the like, of texts."""
    # A text alone would be taken for a list of its letters.
    return isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(text, str) for text in value)


def is_number(value: Any) -> bool:
    """Whether it is a finite number."""
    # A number larger than any float is a mistake.
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    )
