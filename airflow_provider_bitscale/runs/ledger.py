"""What survives a crash: the record of one run, and what a new try makes of it.

The record goes through ``intent`` (a POST is about to leave), ``submitted`` (the run id is known) and
``collected`` (the task has what it wanted). It lives in Airflow's task state store, one per task instance
and map index; retries and Clear leave it alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from airflow_provider_bitscale.api.errors import AmbiguousSubmitError

KEY = "bitscale_run"

INTENT = "intent"
SUBMITTED = "submitted"
COLLECTED = "collected"


class Store(Protocol):
    """A durable place for JSON."""

    def get(self, key: str) -> Any:
        """The value, or None."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value; raises if that failed."""

    def delete(self, key: str) -> None:
        """Drop a value."""


@dataclass(frozen=True)
class Record:
    """One run.

    :param generation: grows when a person clears the task, and stays the same over retries.
    :param fingerprint: of the request, see :meth:`RunRequest.fingerprint`.
    :param deadline: Unix seconds.
    :param column_names: names by column id, for the keys of the result.
    :param result: the result of a synchronous run, which cannot be asked for again.
    """

    phase: str
    generation: int
    fingerprint: str
    grid_id: str
    deadline: float
    run_id: str | None = None
    column_names: dict[str, str] = field(default_factory=dict)
    result: dict[str, Any] | None = None


class Ledger:
    """Reads and writes the record of one task instance."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self) -> Record | None:
        """The record, or None if there is none.

        :raises AmbiguousSubmitError: there is one that cannot be read, which is not the same as none.
        """
        stored = self._store.get(KEY)
        if stored is None:
            return None
        try:
            record = Record(**stored)
        except TypeError:
            record = None
        if record is None or not _makes_sense(record):
            raise AmbiguousSubmitError(f"the record of an earlier try cannot be read: {stored!r}")
        return record

    def write(self, record: Record) -> None:
        """Make a record durable."""
        self._store.set(KEY, asdict(record))

    def submitted(self, record: Record, run_id: str) -> Record:
        """BitScale accepted the run."""
        record = replace(record, phase=SUBMITTED, run_id=run_id)
        self.write(record)
        return record

    def collected(self, record: Record, generation: int, result: dict[str, Any] | None = None) -> None:
        """The task has what it wanted; a retry in this generation may collect it again."""
        self.write(replace(record, phase=COLLECTED, generation=generation, result=result))

    def forget(self) -> None:
        """Nothing was started, or what was started has failed: the next try submits anew."""
        self._store.delete(KEY)


def _makes_sense(record: Record) -> bool:
    if record.phase == INTENT:
        return True
    if record.phase == SUBMITTED:
        return record.run_id is not None
    return record.phase == COLLECTED and (record.run_id is not None or record.result is not None)


def with_deadline(record: Record, deadline: float) -> Record:
    """The record with a new deadline, for a try that goes on after the old one has passed."""
    return replace(record, deadline=deadline)


@dataclass(frozen=True)
class Submit:
    """Submit a run.

    :param may_repeat: an earlier run that may have been started, and is left alone.
    """

    may_repeat: bool = False


@dataclass(frozen=True)
class Attach:
    """Do not submit: this run has been paid for. Collect it."""

    record: Record


@dataclass(frozen=True)
class Ambiguous:
    """An earlier try was lost between its POST and the answer; nobody can tell whether a run was started."""


def next_step(
    record: Record | None, *, fingerprint: str, generation: int, resubmit_ambiguous: bool
) -> Submit | Attach | Ambiguous:
    """What a try does, given what earlier ones left behind.

    :param record: the record found, if any.
    :param fingerprint: of the request this try would make.
    :param generation: of this try.
    :param resubmit_ambiguous: whether to pay again rather than fail where an earlier try is ambiguous.
    """
    if record is None:
        return Submit()
    if record.fingerprint != fingerprint:
        return Submit(may_repeat=record.phase == INTENT)
    if record.phase == INTENT:
        return Submit(may_repeat=True) if resubmit_ambiguous else Ambiguous()
    if record.phase == COLLECTED and record.generation != generation:
        return Submit()
    return Attach(record)
