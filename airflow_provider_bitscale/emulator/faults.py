"""Which injected faults a request has. Pure: the time is passed in, chance is drawn from the seed.

Every kind has a stage. Latencies add up, and changes to fields combine. Of the faults that replace the answer
a request has at most one: the one added first. A fault on fields waits for a successful answer, a fault on
runs for an accepted run: at most one decides how a run ends, and at most one hides it from polls.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal

import pydantic

from airflow_provider_bitscale.emulator.fake_values import draw_fraction
from airflow_provider_bitscale.emulator.settings import Share


class Stage(Enum):
    """When in a request's life a fault takes effect."""

    LATENCY = "latency"
    INSTEAD = "instead of the work"
    AFTER = "after the work"
    FIELDS = "in the answer's fields"
    RUN = "on the end of the accepted run"
    LAG = "on polls of the accepted run"


# As it is: pydantic's own texts have no half surrogates, which an answer may have to carry.
_Text = pydantic.InstanceOf[str]


class _Fields(pydantic.BaseModel):
    """The fields of all kinds."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    on: str | None = None
    times: pydantic.PositiveInt | None = None
    after: pydantic.NonNegativeInt = 0
    probability: Share = 1.0
    for_seconds: pydantic.NonNegativeFloat | None = None


@dataclass(frozen=True)
class _Kind:
    """A kind of fault, with its own fields: their types, or (type, default) where they can be left out."""

    stage: Stage
    fields: Mapping[str, Any] = field(default_factory=dict)
    only_on: str | None = None
    needs_one_of: tuple[str, ...] = ()


def _status(lowest: int, highest: int) -> Any:
    return Annotated[int, pydantic.Field(ge=lowest, le=highest)]


_RETRY_AFTER = pydantic.NonNegativeInt | pydantic.NonNegativeFloat | Literal["http-date"] | None
_TEXT_OR_NONE = (_Text | None, None)
_RESHAPINGS: dict[str, Any] = {
    "set": (dict[str, Any], {}),
    "cells": _TEXT_OR_NONE,
    "drop": (list[_Text], []),
    "rename": (dict[_Text, _Text], {}),
    "wrap": _TEXT_OR_NONE,
    "as_list": (bool, False),
}
_LAGS = {"seconds": (pydantic.NonNegativeFloat, 0.0), "polls": (pydantic.NonNegativeInt, 0)}

_KINDS: dict[str, _Kind] = {
    "latency": _Kind(Stage.LATENCY, {"seconds": pydantic.NonNegativeFloat}),
    "status": _Kind(
        Stage.INSTEAD,
        {
            "status": _status(200, 599),
            "code": _TEXT_OR_NONE,
            "message": _TEXT_OR_NONE,
            "body": _TEXT_OR_NONE,
            "headers": (dict[_Text, _Text] | None, None),
        },
    ),
    "lost_request": _Kind(Stage.INSTEAD),
    "storm": _Kind(Stage.INSTEAD, {"retry_after": (_RETRY_AFTER, None)}),
    "redirect": _Kind(Stage.INSTEAD, {"location": _Text, "status": (_status(300, 399), 302)}),
    "lost_answer": _Kind(Stage.AFTER),
    "server_error_after_work": _Kind(Stage.AFTER, {"status": (_status(500, 599), 500)}),
    "empty": _Kind(Stage.AFTER),
    "half_json": _Kind(Stage.AFTER),
    "array": _Kind(Stage.AFTER),
    "truncated": _Kind(Stage.AFTER),
    "extra_fields": _Kind(Stage.FIELDS),
    "null_fields": _Kind(Stage.FIELDS),
    "unknown_status": _Kind(Stage.FIELDS, {"value": _Text}, only_on="get_run"),
    "hostile_poll_url": _Kind(Stage.FIELDS, {"url": _Text}, only_on="run_grid"),
    "reshape": _Kind(Stage.FIELDS, {"when": _TEXT_OR_NONE, **_RESHAPINGS}, needs_one_of=tuple(_RESHAPINGS)),
    "read_lag": _Kind(Stage.LAG, _LAGS, only_on="run_grid", needs_one_of=tuple(_LAGS)),
    "run_fails": _Kind(Stage.RUN, {"message": _TEXT_OR_NONE}, only_on="run_grid"),
    "run_never_ends": _Kind(Stage.RUN, only_on="run_grid"),
}
_MODELS = {
    name: pydantic.create_model(name, __base__=_Fields, **kind.fields) for name, kind in _KINDS.items()
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
        self._endpoints = endpoints
        self._rolls = 0
        self._faults: list[Fault] = []

    def add(self, kind: str, fields: Mapping[str, Any], now: float) -> None:
        """Add a fault at Unix time ``now``.

        :raises ValueError: an unknown kind or a wrong field; the message names it.
        """
        spec = _KINDS.get(kind)
        if spec is None:
            raise ValueError(f"unknown fault kind {kind!r}; there are {', '.join(_KINDS)}")
        try:
            checked = _MODELS[kind].model_validate(fields)
        except pydantic.ValidationError as error:
            raise ValueError("; ".join(_told(kind, problem) for problem in error.errors())) from None
        if checked.on is not None and checked.on not in self._endpoints:
            raise ValueError(
                f"field 'on' of fault {kind} must be null or one of {', '.join(self._endpoints)}"
            )
        if spec.only_on is not None and checked.on not in {None, spec.only_on}:
            raise ValueError(f"field 'on' of fault {kind} can only be {spec.only_on}")
        if spec.needs_one_of and checked.model_fields_set.isdisjoint(spec.needs_one_of):
            raise ValueError(f"fault {kind} needs at least one of {', '.join(spec.needs_one_of)}")
        self._faults.append(
            Fault(
                kind=kind,
                stage=spec.stage,
                fields={name: getattr(checked, name) for name in spec.fields},
                on=spec.only_on or checked.on,
                times_left=checked.times,
                skips_left=checked.after,
                probability=checked.probability,
                until=None if checked.for_seconds is None else now + checked.for_seconds,
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


def _told(kind: str, problem: Mapping[str, Any]) -> str:
    # Pydantic names no place for a field whose name is not a text.
    name = "".join(map(str, problem["loc"][:1]))
    if problem["type"] == "missing":
        return f"fault {kind} needs the field {name!r}"
    if problem["type"] == "extra_forbidden":
        return f"fault {kind} has no field {name!r}; it has {', '.join(_MODELS[kind].model_fields)}"
    return f"field {name!r} of fault {kind}: {problem['msg']}"
