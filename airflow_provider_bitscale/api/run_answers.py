"""Pure: answers about runs, read by one tolerant reader for both contracts.

BitScale's answers are only partly documented, and a run is paid for even if its answer is unusual. So common
spellings of ids, wrappers, statuses and outputs are all read. Each that the contract does not have is listed
in ``Run.unexpected`` and logged once a process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from airflow_provider_bitscale.api import run_ids, run_statuses
from airflow_provider_bitscale.api.error_answers import is_refusal
from airflow_provider_bitscale.api.fields import id_text, named
from airflow_provider_bitscale.api.models import Json, Run, RunStatus
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.api.run_envelope import opened
from airflow_provider_bitscale.api.run_outputs import read_outputs
from airflow_provider_bitscale.api.unexpected import tell_once

_GRID_IDS = ("gridid", "grid")


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
    """Read the answer to a paid POST. An id or a result is enough.

    :raises ValueError: it has neither.
    """
    found = _Found.of(payload, spelling)
    if found.status is None and found.polled_id("") is None and is_refusal(found.fields):
        raise ValueError("it is a refusal, and the id in it is not known to be that of a run")
    run_id = found.accepted_id()
    run = found.run(run_id, about_run=found.is_about_run)
    if run.status is RunStatus.UNKNOWN and run.outputs and (run_id is None or run.mode == "sync"):
        # A synchronous answer is the end of the run, and without an id there is nothing to ask again.
        found.unexpected.append(f"the status {run.reported_status!r} is unknown, and its outputs are taken")
        run = replace(run, status=RunStatus.COMPLETED, reported_status=RunStatus.COMPLETED.value)
    if run_id is None and not run.status.is_terminal:
        raise ValueError(f"the id of the run is missing, and its status is {run.reported_status!r}")
    if run_id is None and run.status is RunStatus.COMPLETED and run.outputs is None:
        raise ValueError("it is completed, without outputs that can be read, and without an id")
    return found.told(run)


def read_polled_run(payload: Any, spelling: RunSpelling, run_id: str) -> Run:
    """Read the answer to a poll, which may leave out the run's id.

    :param run_id: the run that was polled.
    :raises ValueError: the answer is not about a run.
    """
    found = _Found.of(payload, spelling)
    run = found.run(found.polled_id(run_id) or run_id, about_run=partial(found.is_about_run, run_id))
    if found.status is None and not run.outputs:
        raise ValueError("'status' is missing")
    return found.told(run)


def read_delivered_run(payload: Any) -> Run:
    """Read the delivery of a run that has ended. It is read as a poll's answer, but must name run and grid.

    :return: a run whose ``raw`` is in the form of v1.1.0: ``parsing.parse_run`` reads the same out of it.
    :raises ValueError: it names no run or no grid, or the run has not ended.
    """
    found = _Found.of(payload, DOCUMENTED)
    # An invalid id under the documented name is not replaced by another field.
    told = found.fields.get("run_id")
    run_id = id_text(told) if told else found.accepted_id()
    grid_id = found.grid_id()
    if run_id is None or grid_id is None:
        raise ValueError(f"the id of the {'run' if run_id is None else 'grid'} is missing")
    run = replace(found.run(run_id), grid_id=grid_id)
    if not run.status.is_terminal:
        raise ValueError("it is not a run that has ended")
    run, read = found.told(run), run.to_json()
    spelled = ("run_id", "grid_id", "status", "outputs", "output_names", "error")
    return replace(run, raw={**run.raw, **{name: read[name] for name in spelled if read[name]}})


@dataclass
class _Found:
    """What an answer holds, taken out of its wrappers.

    :param layers: the objects that the fields came from, the one that says most of the run first.
    :param status: as it was reported.
    :param id_unexpected: undocumented spellings on the way to the run's id.
    :param unexpected: all other undocumented spellings.
    """

    fields: Json
    layers: list[Json]
    spelling: RunSpelling
    status: str | None
    id_unexpected: list[str]
    unexpected: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, payload: Any, spelling: RunSpelling) -> _Found:
        id_unexpected: list[str] = []
        unexpected: list[str] = []
        fields, layers = opened(payload, id_unexpected)
        status = run_statuses.reported(layers, unexpected)
        return cls(fields, layers, spelling, status, id_unexpected, unexpected)

    def accepted_id(self) -> str | None:
        return run_ids.accepted_id(self.layers, self.spelling.run_id, self.id_unexpected)

    def polled_id(self, asked: str) -> str | None:
        return run_ids.polled_id(self.layers, self.spelling.run_id, asked)

    def is_about_run(self, asked: str = "") -> bool:
        """Whether other words than ``failed`` are surely about the run, and not about the request."""
        return self.polled_id(asked) is not None or any(
            self.fields.get(name) for name in ("mode", "grid_id", "outputs")
        )

    def grid_id(self) -> str | None:
        for name in named(self.fields, _GRID_IDS):
            if (grid_id := id_text(self.fields[name])) is not None:
                if name != "grid_id":
                    self.unexpected.append(f"the grid id is called {name!r}")
                return grid_id
        return None

    def run(self, run_id: str | None, *, about_run: Callable[[], bool] = lambda: True) -> Run:
        """Return the fields as a run with this id.

        :param about_run: tells whether other words than ``failed`` are surely about the run, not the request.
        """
        outputs, names = read_outputs(self.fields, cells=self.spelling.cells, unexpected=self.unexpected)
        data = self.fields
        word = RunStatus.UNKNOWN.value if self.status is None else self.status
        status = run_statuses.status_of(word)
        if status is RunStatus.FAILED and RunStatus(word) is not status and not about_run():
            status = RunStatus.UNKNOWN
        elif status not in (RunStatus.UNKNOWN, word):
            self.unexpected.append(f"the status {word[:50]!r} is taken for {status.value!r}")
        run = parse_run(
            {
                **data,
                "run_id": run_id,
                "status": word or RunStatus.UNKNOWN.value,
                "outputs": outputs,
                "output_names": names,
                "error": data.get("error") or (data.get("message") if status is RunStatus.FAILED else None),
            },
            raw=data,
        )
        return run if run.status is status else replace(run, status=status)

    def told(self, run: Run) -> Run:
        """Return the run, with what was unexpected in its answer, which is logged once a process."""
        unexpected = (*self.id_unexpected, *self.unexpected)
        if not unexpected:
            return run
        for what in unexpected:
            tell_once(what)
        return replace(run, unexpected=unexpected, id_is_documented=not self.id_unexpected)
