"""Pure: the options of a single run, checked all at once, and the checks that batches and sensors share."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_bitscale.runs.request import RunRequest

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.contracts import Contract

Mode = Literal["async", "sync"]
OutputKey = Literal["name", "id"]
OnAmbiguousSubmit = Literal["fail", "resubmit"]

_FLAGS = (
    "fail_when_incomplete",
    "deferrable",
    "wait_for_completion",
    "validate_inputs",
    "trust_webhook",
    "csv_escape_formulas",
)
_DURATIONS = ("poll_interval", "timeout", "run_timeout", "batch_timeout", "undelivered_for")
_TEXTS = ("miss_values", "null_values")
_MAY_BE_NONE = ("deferrable", "batch_timeout", "null_values", "min_credits")


@dataclass(frozen=True, kw_only=True)
class GridOptions:
    """What a single run and a batch have in common: arguments of their operators under their own names.

    A DAG's author may have given anything: rely on the types once :meth:`problems` finds nothing.
    """

    grid_id: str
    output_columns: list[str] | None
    mode: Mode
    webhook_url: str | None
    trust_webhook: bool
    miss_values: Collection[str]
    on_ambiguous_submit: str
    bitscale_conn_id: str

    @property
    def request(self) -> RunRequest:
        """The runs to pay for, without the inputs of rows."""
        return RunRequest(self.grid_id, {}, self.output_columns, self.mode, self.webhook_url)

    @property
    def resubmit_ambiguous(self) -> bool:
        """Whether to risk paying twice where it is not known whether a run was started."""
        return self.on_ambiguous_submit == "resubmit"

    def problems(self, *, rendered: bool = True) -> list[str]:
        """Return what is wrong, one sentence each; empty if nothing is.

        :param rendered: False while templates may stand in the fields; those are then passed over.
        """
        return self.request.problems(rendered=rendered) + option_problems(**vars(self))


@dataclass(frozen=True, kw_only=True)
class RunOptions(GridOptions):
    """What a task wants of its run, by the arguments of RunGridOperator.

    :param templated_inputs: names of those inputs that were templates.
    :param poll_interval: seconds, as ``timeout``.
    :param execution_timeout: after which Airflow ends a try.
    """

    inputs: dict[str, Any]
    templated_inputs: Collection[str]
    wait_for_completion: bool
    deferrable: bool | None
    poll_interval: float
    timeout: float
    execution_timeout: timedelta | None
    min_credits: float | None
    validate_inputs: bool
    key_outputs_by: OutputKey
    on_ambiguous_submit: OnAmbiguousSubmit

    @property
    def request(self) -> RunRequest:
        """The run to pay for."""
        return replace(super().request, inputs=self.inputs)

    def problems(self, *, rendered: bool = True) -> list[str]:
        """As :meth:`GridOptions.problems`."""
        problems = super().problems(rendered=rendered)
        problems += choice_problems(OnAmbiguousSubmit, on_ambiguous_submit=self.on_ambiguous_submit)
        if self.mode == "sync" and self.wait_for_completion is False:
            problems.append("wait_for_completion=False goes with mode='async' only")
        return problems

    def unsupported(self, contract: Contract) -> str | None:
        """Return which option this contract of the API does not support; None if it supports all."""
        # A global default of deferrable is not the author's word, and is passed over.
        if self.mode == "sync" and self.deferrable and not contract.cuts_sync_off:
            return (
                f"deferrable=True goes with mode='async' only: under the API contract {contract.name} a sync "
                "run is answered when it has ended"
            )
        return None


def option_problems(**options: Any) -> list[str]:
    """Return what is wrong with options that several operators and sensors have, one sentence each.

    :param options: arguments by name; those of other names are passed over.
    """
    problems = []
    for name, value in options.items():
        if value is None and name in _MAY_BE_NONE:
            continue
        if name == "key_outputs_by":
            problems += choice_problems(OutputKey, key_outputs_by=value)
        elif name in _FLAGS and not isinstance(value, bool):
            problems.append(f"{name} must be True or False, not {value!r}")
        elif name in _DURATIONS and not (is_number(value) and value > 0):
            problems.append(f"{name} must be a number of seconds above 0, not {value!r}")
        elif name in _TEXTS and not are_texts(value):
            problems.append(f"{name} must be a list of texts, not {value!r}")
        elif name == "min_credits" and not (is_number(value) and value >= 0):
            problems.append(f"min_credits must be a number that is not negative, not {value!r}")
    return problems


def choice_problems(literal: Any, **options: Any) -> list[str]:
    """Return which options are none of the values of a ``Literal``, one sentence each."""
    choices = get_args(literal)
    return [
        f"{name} must be {' or '.join(choices)}, not {value!r}"
        for name, value in options.items()
        if value not in choices
    ]


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
