"""Which injected faults a request has. Pure: the time is passed in, chance is drawn from the seed.

Every kind has a stage. Latencies add up, and changes to fields combine. Of the faults that replace the answer
a request has at most one: the one added first. A fault on fields waits for a successful answer, a fault on
runs for an accepted run: at most one decides how a run ends, and at most one hides it from polls.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from airflow_provider_bitscale.emulator.fake_values import draw_fraction


class Stage(Enum):
    """When in a request's life a fault takes effect."""

    LATENCY = "latency"
    INSTEAD = "instead of the work"
    AFTER = "after the work"
    FIELDS = "in the answer's fields"
    RUN = "on the end of the accepted run"
    LAG = "on polls of the accepted run"


class Check(NamedTuple):
    """What a field must be, in words and as a test."""

    wanted: str
    passes: Callable[[Any], bool]
    required: bool = False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_map(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_text(item) for pair in value.items() for item in pair)


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_status(value: Any) -> bool:
    return _is_count(value) and 200 <= value <= 599


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


_TEXT = Check("a string or null", _or_none(_is_text))
_REQUIRED_TEXT = Check("a string", _is_text, required=True)

_COMMON: dict[str, Check] = {
    "times": Check("null or a whole number >= 1", _or_none(lambda value: _is_count(value) and value >= 1)),
    "after": Check("a whole number >= 0", _is_count),
    "probability": Check("a number from 0 to 1", lambda value: _is_number(value) and value <= 1),
    "for_seconds": Check("null or a number of seconds >= 0", _or_none(_is_number)),
}


@dataclass(frozen=True)
class _Kind:
    stage: Stage
    fields: Mapping[str, Check] = field(default_factory=dict)
    only_on: str | None = None
    needs_one_of: tuple[str, ...] = ()


_KINDS: dict[str, _Kind] = {
    "latency": _Kind(Stage.LATENCY, {"seconds": Check("a number of seconds >= 0", _is_number, True)}),
    "status": _Kind(
        Stage.INSTEAD,
        {
            "status": Check("a status from 200 to 599", _is_status, True),
            "code": _TEXT,
            "message": _TEXT,
            "body": _TEXT,
            "headers": Check("null or an object of strings", _or_none(_is_text_map)),
        },
    ),
    "lost_request": _Kind(Stage.INSTEAD),
    "storm": _Kind(
        Stage.INSTEAD,
        {
            "retry_after": Check(
                'null, a number of seconds >= 0 or "http-date"',
                lambda value: value is None or value == "http-date" or _is_number(value),
            )
        },
    ),
    "redirect": _Kind(
        Stage.INSTEAD,
        {
            "location": _REQUIRED_TEXT,
            "status": Check("a status from 300 to 399", lambda v: _is_status(v) and 300 <= v <= 399),
        },
    ),
    "lost_answer": _Kind(Stage.AFTER),
    "server_error_after_work": _Kind(
        Stage.AFTER, {"status": Check("a status from 500 to 599", lambda v: _is_status(v) and v >= 500)}
    ),
    "empty": _Kind(Stage.AFTER),
    "half_json": _Kind(Stage.AFTER),
    "array": _Kind(Stage.AFTER),
    "truncated": _Kind(Stage.AFTER),
    "extra_fields": _Kind(Stage.FIELDS),
    "null_fields": _Kind(Stage.FIELDS),
    "unknown_status": _Kind(Stage.FIELDS, {"value": _REQUIRED_TEXT}, only_on="get_run"),
    "hostile_poll_url": _Kind(Stage.FIELDS, {"url": _REQUIRED_TEXT}, only_on="run_grid"),
    "reshape": _Kind(
        Stage.FIELDS,
        {
            "when": _TEXT,
            "set": Check("an object", lambda value: isinstance(value, dict)),
            "cells": _TEXT,
            "drop": Check("a list of strings", _is_text_list),
            "rename": Check("an object of strings", _is_text_map),
            "wrap": _TEXT,
            "as_list": Check("true or false", lambda value: isinstance(value, bool)),
        },
        needs_one_of=("set", "cells", "drop", "rename", "wrap", "as_list"),
    ),
    "read_lag": _Kind(
        Stage.LAG,
        {
            "seconds": Check("a number of seconds >= 0", _is_number),
            "polls": Check("a whole number >= 0", _is_count),
        },
        only_on="run_grid",
        needs_one_of=("seconds", "polls"),
    ),
    "run_fails": _Kind(Stage.RUN, {"message": _TEXT}, only_on="run_grid"),
    "run_never_ends": _Kind(Stage.RUN, only_on="run_grid"),
}


@dataclass
class Fault:
    """One injected fault and what is left of it."""

    kind: str
    stage: Stage
    fields: Mapping[str, Any]
    on: str | None
    times_left: int | None
    skips_left: int
    probability: float
    until: float | None

    def spent(self, now: float) -> bool:
        """Whether the fault can have no further effect."""
        return self.times_left == 0 or (self.until is not None and now >= self.until)


@dataclass(frozen=True)
class RequestFaults:
    """The faults of one request.

    :param latency: seconds.
    :param answer: the one that replaces the answer.
    """

    latency: float = 0.0
    answer: Fault | None = None
    names: tuple[str, ...] = ()


_NONE = RequestFaults()
_ON_REQUESTS = {Stage.LATENCY, Stage.INSTEAD, Stage.AFTER}
_ON_RUNS = {Stage.RUN, Stage.LAG}


class Faults:
    """The faults in force, in the order they were added.

    :param endpoints: names that the field ``on`` may have.
    """

    def __init__(self, seed: int, endpoints: Collection[str]) -> None:
        self._seed = seed
        self._on = Check(f"null or one of {', '.join(endpoints)}", _or_none(endpoints.__contains__))
        self._rolls = 0
        self._faults: list[Fault] = []

    def add(self, kind: str, fields: Mapping[str, Any], now: float) -> None:
        """Add a fault at Unix time ``now``.

        :raises ValueError: an unknown kind or a wrong field; the message names it.
        """
        spec = _KINDS.get(kind)
        if spec is None:
            raise ValueError(f"unknown fault kind {kind!r}; there are {', '.join(_KINDS)}")
        checks = {"on": self._on, **_COMMON, **spec.fields}
        for name, value in fields.items():
            if name not in checks:
                raise ValueError(f"fault {kind} has no field {name!r}; it has {', '.join(checks)}")
            if not checks[name].passes(value):
                raise ValueError(f"field {name!r} of fault {kind} must be {checks[name].wanted}")
        for name, check in spec.fields.items():
            if check.required and name not in fields:
                raise ValueError(f"fault {kind} needs the field {name!r}: {check.wanted}")
        if spec.needs_one_of and not any(name in fields for name in spec.needs_one_of):
            raise ValueError(f"fault {kind} needs at least one of {', '.join(spec.needs_one_of)}")
        on = fields.get("on")
        if spec.only_on is not None and on not in {None, spec.only_on}:
            raise ValueError(f"field 'on' of fault {kind} can only be {spec.only_on}")
        for_seconds = fields.get("for_seconds")
        self._faults.append(
            Fault(
                kind=kind,
                stage=spec.stage,
                fields={name: fields[name] for name in spec.fields if name in fields},
                on=on if spec.only_on is None else spec.only_on,
                times_left=fields.get("times"),
                skips_left=fields.get("after", 0),
                probability=fields.get("probability", 1.0),
                until=None if for_seconds is None else now + for_seconds,
            )
        )

    def clear(self) -> None:
        """Lift every fault."""
        self._faults = []

    def of_request(self, endpoint: str | None, now: float) -> RequestFaults:
        """Return the faults of a request to ``endpoint`` (None: no endpoint of the API) at ``now``."""
        if not self._faults:
            return _NONE
        latency = 0.0
        answer: Fault | None = None
        names: list[str] = []
        for fault in self._due(_ON_REQUESTS, endpoint, now):
            if answer is not None and fault.stage is not Stage.LATENCY:
                continue
            if not self._spend(fault):
                continue
            names.append(fault.kind)
            if fault.stage is Stage.LATENCY:
                latency += fault.fields["seconds"]
            else:
                answer = fault
        return RequestFaults(latency, answer, tuple(names))

    def of_answer(self, endpoint: str, status: str | None, now: float) -> tuple[Fault, ...]:
        """Return the faults on the fields of a successful answer of ``endpoint`` that tells ``status``."""
        due = self._due({Stage.FIELDS}, endpoint, now, status)
        return tuple(fault for fault in due if self._spend(fault))

    def of_run(self, now: float) -> tuple[Fault, ...]:
        """Return the faults of the run being accepted at ``now``: of each stage the one added first."""
        of_stage: dict[Stage, Fault] = {}
        for fault in self._due(_ON_RUNS, "run_grid", now):
            if fault.stage not in of_stage and self._spend(fault):
                of_stage[fault.stage] = fault
        return tuple(of_stage.values())

    def _due(
        self, stages: Collection[Stage], endpoint: str | None, now: float, status: str | None = None
    ) -> list[Fault]:
        self._faults = [fault for fault in self._faults if not fault.spent(now)]
        due = []
        for fault in self._faults:
            if fault.stage not in stages or fault.on not in {None, endpoint}:
                continue
            if fault.fields.get("when") not in {None, status}:
                continue
            # "after 2" means the third match, also if an earlier fault has changed the first two.
            if fault.skips_left > 0:
                fault.skips_left -= 1
            else:
                due.append(fault)
        return due

    def _spend(self, fault: Fault) -> bool:
        self._rolls += 1
        if draw_fraction(self._seed, "fault", self._rolls) >= fault.probability:
            return False
        if fault.times_left is not None:
            fault.times_left -= 1
        return True
