"""Pure: the status of a run, in any of its words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_bitscale.api.fields import named, plain
from airflow_provider_bitscale.api.models import Json, RunStatus

NAMES = ("status", "state", "runstatus")
_MOST_CHARACTERS = 50

# Other words for the documented statuses, without their spelling.
_SYNONYMS = {
    word: status
    for status, words in {
        RunStatus.COMPLETED: "complete completedwitherrors completedwithwarnings done finished partial "
        "partiallycompleted partialsuccess succeeded success successful",
        RunStatus.FAILED: "aborted canceled cancelled error errored failure",
        RunStatus.RUNNING: "accepted executing inprogress pending processing scheduled started waiting",
    }.items()
    for word in words.split()
}


def has_status(data: Json) -> bool:
    """Whether it has a status, in whatever words."""
    return any(isinstance(data[name], str) for name in named(data, NAMES))


def has_documented_status(data: Json) -> bool:
    """Whether it has one of the documented statuses, under whatever name."""
    return any(_is_documented(data[name]) for name in named(data, NAMES))


def reported(layers: Sequence[Json], unexpected: list[str]) -> str | None:
    """Return the status as it was reported; None if there is none.

    :param layers: the objects of the answer, the run first: the status of an envelope is that of the request,
        and counts only where the run has none.
    """
    return next((word for layer in layers if (word := _reported(layer, unexpected)) is not None), None)


def _reported(data: Json, unexpected: list[str]) -> str | None:
    # A status that is not documented may be that of the request, beside that of the run.
    names = named(data, NAMES)
    if len(names) > 1:
        names.sort(key=lambda name: not _is_documented(data[name]))
    for name in names:
        if isinstance(data[name], str):
            if name != "status":
                unexpected.append(f"the status is called {name!r}")
            return str(data[name])
    told = next((data[name] for name in names if data[name] is not None), None)
    if isinstance(told, Mapping) and has_status(told):
        unexpected.append("the status is an object")
        return _reported(told, unexpected)
    return None if told is None else _shown(told)


def status_of(word: str) -> RunStatus:
    """Return the status that a word stands for, in any letters."""
    status = RunStatus(word)
    return _SYNONYMS.get(plain(word), status) if status is RunStatus.UNKNOWN else status


def _is_documented(value: Any) -> bool:
    return RunStatus(value) is not RunStatus.UNKNOWN


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)[:_MOST_CHARACTERS]
