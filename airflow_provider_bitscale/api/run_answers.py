"""Pure: answers about runs, read by one tolerant reader for both contracts.

What BitScale serves is known only in part, and a run is paid for whatever its answer looks like. So the
common spellings of one thing are read alike: ids, wrappers, statuses and outputs. Whatever is not spelled as
the contract has it is listed in ``Run.unexpected`` and logged once a process.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_provider_bitscale.api.carriable import shorten
from airflow_provider_bitscale.api.fields import is_id
from airflow_provider_bitscale.api.models import Json, Run, RunStatus
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.api.run_outputs import read_outputs

log = logging.getLogger(__name__)

_RUN_IDS = ("runid", "requestid")
_GRID_IDS = ("gridid", "grid")
_WRAPPERS = ("data", "run", "request", "response", "payload", "result")
_MAX_WRAPPERS = 3
_POLL_URLS = ("pollurl", "statusurl")
# Last segments of paths that are no ids.
_NOT_IDS = ("run", "runs", "status", "grids")

# Other words for the documented statuses, without their spelling.
_SYNONYMS = {
    **dict.fromkeys(
        (
            "complete",
            "completedwitherrors",
            "completedwithwarnings",
            "done",
            "finished",
            "partial",
            "partiallycompleted",
            "partialsuccess",
            "succeeded",
            "success",
            "successful",
        ),
        RunStatus.COMPLETED,
    ),
    **dict.fromkeys(
        ("aborted", "canceled", "cancelled", "error", "errored", "failure"),
        RunStatus.FAILED,
    ),
    **dict.fromkeys(
        ("accepted", "executing", "inprogress", "pending", "processing", "scheduled", "started", "waiting"),
        RunStatus.RUNNING,
    ),
}


@dataclass(frozen=True)
class RunSpelling:
    """How a contract documents its answers about runs.

    :param run_id: the names of the run's id.
    :param cells: whether outputs are ``{"value": …, "name": …}``.
    """

    run_id: tuple[str, ...]
    cells: bool


# Also that of deliveries, which only v1.1.0 documents.
DOCUMENTED = RunSpelling(run_id=("run_id",), cells=False)


def read_accepted_run(payload: Any, spelling: RunSpelling) -> Run:
    """Read the answer to a POST that was paid for: whatever names the run or holds its result is enough.

    :raises ValueError: it names no run, and holds no result.
    """
    found = _Found.of(payload, spelling)
    run_id = found.accepted_id()
    run = found.run(run_id)
    if run.status is RunStatus.UNKNOWN and run_id is None and run.outputs:
        # There is no id to ask again: what was answered is all there will be.
        found.unexpected.append(f"the status {run.reported_status!r} is unknown, and its outputs are taken")
        run = replace(run, status=RunStatus.COMPLETED, reported_status=RunStatus.COMPLETED.value)
    if run_id is None and not run.status.is_terminal:
        if run.mode != "sync":
            raise ValueError("the id of the run is missing")
    elif run_id is None and run.status is RunStatus.COMPLETED and run.outputs is None:
        raise ValueError("it is completed, without outputs that can be read, and without an id")
    return found.told(run)


def read_polled_run(payload: Any, spelling: RunSpelling, run_id: str) -> Run:
    """Read the answer to a poll, which may leave out the run's id.

    :param run_id: of the run that was asked for.
    :raises ValueError: it says nothing about a run.
    """
    found = _Found.of(payload, spelling)
    # Only under its own name another id counts: others may be those of a request, or of a row.
    named = found.documented_id()
    if "status" not in found.fields:
        raise ValueError("'status' is missing")
    about_run = named is not None or any(found.fields.get(name) for name in ("mode", "grid_id", "outputs"))
    return found.told(found.run(named or run_id, about_run=about_run))


def read_delivered_run(payload: Any) -> Run:
    """Read what is delivered when a run has ended: as the answer to a poll, but it must name run and grid.

    :return: with ``raw`` in the form of v1.1.0: ``parsing.parse_run`` reads the same out of it.
    :raises ValueError: it names no run or no grid, or the run has not ended.
    """
    found = _Found.of(payload, DOCUMENTED)
    # What stands under the documented name and is no id is not made up for by another one.
    run_id = found.documented_id() if found.fields.get("run_id") else found.accepted_id()
    grid_id = found.grid_id()
    if run_id is None or grid_id is None:
        raise ValueError(f"the id of the {'run' if run_id is None else 'grid'} is missing")
    run = replace(found.run(run_id), grid_id=grid_id)
    if not run.status.is_terminal:
        raise ValueError("it is no run that has ended")
    run, read = found.told(run), run.to_json()
    spelled = ("run_id", "grid_id", "status", "outputs", "output_names", "error")
    return replace(run, raw={**run.raw, **{name: read[name] for name in spelled if read[name]}})


@dataclass
class _Found:
    """What an answer holds, taken out of its wrappers.

    :param unexpected: what was not spelled as documented.
    """

    fields: Json
    spelling: RunSpelling
    unexpected: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, payload: Any, spelling: RunSpelling) -> _Found:
        found = cls({}, spelling)
        for _ in range(_MAX_WRAPPERS):
            if isinstance(payload, list) and len(payload) == 1:
                found.unexpected.append("the answer is a list")
                payload = payload[0]
            elif isinstance(payload, Mapping) and (wrapper := _wrapper(payload)):
                found.unexpected.append(f"the run is wrapped in {wrapper!r}")
                outer = {name: value for name, value in payload.items() if name != wrapper}
                inner = payload[wrapper]
                payload = {**outer, **inner} if isinstance(inner, Mapping) else inner
            else:
                break
        if not isinstance(payload, Mapping):
            raise ValueError(f"expected a JSON object, got {type(payload).__name__}")
        found.fields = _with_status(payload, found.unexpected)
        return found

    def documented_id(self) -> str | None:
        """The id under the name that the contract has."""
        return next(_ids(self.fields, self.spelling.run_id), None)

    def accepted_id(self) -> str | None:
        """The id under whatever name; where several may be meant, the one that ``poll_url`` ends with."""
        if (documented := self.documented_id()) is not None:
            return documented
        names = _named(self.fields, (*_RUN_IDS, "id"))
        url = next(iter(_named(self.fields, _POLL_URLS)), None)
        polled = None if url is None else _last_segment(self.fields[url])
        for name in names:
            for run_id in _ids(self.fields, [name]):
                if polled is None or run_id == polled:
                    self.unexpected.append(f"the run id is called {name!r}")
                    return run_id
        if polled is not None:
            self.unexpected.append(f"the run id is told by {url!r} alone")
        return polled

    def grid_id(self) -> str | None:
        """The id of the run's grid, under whatever name."""
        for name in _named(self.fields, _GRID_IDS):
            for grid_id in _ids(self.fields, [name]):
                if name != "grid_id":
                    self.unexpected.append(f"the grid id is called {name!r}")
                return grid_id
        return None

    def run(self, run_id: str | None, *, about_run: bool = True) -> Run:
        """The fields as a run with this id.

        :param about_run: whether other words than ``failed`` are surely about the run, not the request.
        """
        outputs, names = read_outputs(self.fields, cells=self.spelling.cells, unexpected=self.unexpected)
        data = self.fields
        word = str(data.get("status", RunStatus.UNKNOWN.value))
        status = _status(word)
        if status is RunStatus.FAILED and RunStatus(word) is not status and not about_run:
            status = RunStatus.UNKNOWN
        elif status not in (RunStatus.UNKNOWN, word):
            self.unexpected.append(f"the status {word[:50]!r} is taken for {status.value!r}")
        run = parse_run(
            {
                **data,
                "run_id": run_id,
                "status": word,
                "outputs": outputs,
                "output_names": names,
                "error": data.get("error") or (data.get("message") if status is RunStatus.FAILED else None),
            }
        )
        return replace(run, status=status)

    def told(self, run: Run) -> Run:
        """The run, with what was unexpected in its answer, which is logged once a process."""
        for what in self.unexpected:
            _tell_once(what)
        return replace(run, raw=self.fields, unexpected=tuple(self.unexpected))


@lru_cache(maxsize=128)
def _tell_once(what: str) -> None:
    log.warning("BitScale's answer is not as documented, and is read all the same: %s", shorten(what))


def _wrapper(payload: Json) -> str | None:
    """The field that holds the run, where the object itself is but its wrapper."""
    if _named(payload, _RUN_IDS) or ("status" in payload and "outputs" in payload):
        return None
    for name in payload:
        # Beside a status, a result is that of the run, and may hold columns of any name.
        if _plain(name) not in _WRAPPERS or (_plain(name) == "result" and "status" in payload):
            continue
        inner = payload[name]
        inner = inner[0] if isinstance(inner, list) and len(inner) == 1 else inner
        if isinstance(inner, Mapping) and (
            _named(inner, (*_RUN_IDS, "id", "status", "state")) or _wrapper(inner) is not None
        ):
            return name
    return None


def _with_status(payload: Json, unexpected: list[str]) -> Json:
    if isinstance(payload.get("status"), str):
        return payload
    for name in _named(payload, ("status", "state", "runstatus")):
        if isinstance(payload[name], str):
            unexpected.append(f"the status is called {name!r}")
            return {**payload, "status": payload[name]}
    return {name: value for name, value in payload.items() if name != "status"}


def _status(word: str) -> RunStatus:
    status = RunStatus(word)
    return _SYNONYMS.get(_plain(word), status) if status is RunStatus.UNKNOWN else status


def _ids(data: Json, names: Collection[str]) -> Iterator[str]:
    """The values under these names that can be ids: texts, or whole numbers."""
    for name in names:
        value = data.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and _is_id(value):
            yield value


def _is_id(text: str) -> bool:
    return is_id(text) and bool(text.strip())


def _last_segment(url: Any) -> str | None:
    """The last segment of a URL's path, if it can be an id. The URL itself is never followed."""
    try:
        path = urlsplit(url).path if isinstance(url, str) else ""
    except ValueError:
        return None
    segment = unquote(path.rstrip("/").rpartition("/")[2])
    return segment if _is_id(segment) and segment.lower() not in _NOT_IDS else None


def _named(data: Json, plain_names: Collection[str]) -> list[str]:
    """The fields that have one of these names, however it is spelled; in the order of the names."""
    by_name = {_plain(name): name for name in reversed(list(data))}
    return [by_name[name] for name in plain_names if name in by_name]


def _plain(name: str) -> str:
    """A name without its spelling: ``requestId`` and ``request_id`` alike."""
    return re.sub(r"[\W_]+", "", name).lower()
