"""What survives a crash: the record of one run, and what a new try makes of it.

The record goes through ``intent`` (a POST is about to leave), ``submitted`` (BitScale accepted it) and
``collected`` (the task has succeeded with it). It lives in Airflow's task state store, one per task instance
and map index; retries and Clear leave it alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from airflow_provider_bitscale.api.errors import AmbiguousSubmitError

KEY = "bitscale_run"
NOT_TOLD = "no delivery came that would tell whether a run was started: it may have been paid for, or not"
WAY_OUT = (
    "Look for the row in BitScale. To submit it again, delete the key "
    f"{KEY!r} from the task's state store and clear the task."
)

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
    :param input_columns: ids of the columns that echo inputs.
    :param result: the result of a synchronous run, which cannot be asked for again.
    :param delivery_key: under which the run's webhook delivery will be; None if none is expected.
    """

    phase: str
    generation: int
    fingerprint: str
    grid_id: str
    deadline: float
    run_id: str | None = None
    column_names: dict[str, str] = field(default_factory=dict)
    input_columns: list[str] = field(default_factory=list)
    result: dict[str, Any] | None = None
    delivery_key: str | None = None


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
            raise AmbiguousSubmitError(f"the record of an earlier try cannot be read: {stored!r}. {WAY_OUT}")
        return record

    def write(self, record: Record) -> None:
        """Make a record durable."""
        self._store.set(KEY, asdict(record))

    def submitted(self, record: Record, run_id: str | None, result: dict[str, Any] | None = None) -> Record:
        """BitScale accepted the run.

        :param run_id: None for a synchronous run.
        :param result: of a synchronous run.
        """
        record = replace(record, phase=SUBMITTED, run_id=run_id, result=result)
        self.write(record)
        return record

    def delivered(self, record: Record) -> Record | None:
        """The record with the id of its run, if that was delivered meanwhile."""
        hint = self._store.get(record.delivery_key) if record.delivery_key else None
        return None if hint is None else self.submitted(record, str(hint["run_id"]))

    def collected(self, generation: int) -> None:
        """The task has succeeded with what it recorded."""
        record = self.read()
        if record is not None:
            self.write(replace(record, phase=COLLECTED, generation=generation))

    def forget(self) -> None:
        """Nothing was started, or what was started has failed: the next try submits anew."""
        self._store.delete(KEY)


def _makes_sense(record: Record) -> bool:
    if record.phase == INTENT:
        return True
    return record.phase in (SUBMITTED, COLLECTED) and (record.run_id is not None or record.result is not None)


@dataclass
class Intent:
    """The journal of one submission: written down when the request leaves, and not before."""

    ledger: Ledger
    record: Record
    _written: bool = False

    def about_to_send(self) -> None:
        """Make the intent durable."""
        self._written = True
        self.ledger.write(self.record)

    def not_processed(self) -> None:
        """Nothing was started: there is no intent any more. A record of another run stays."""
        if self._written:
            self.ledger.forget()
        self._written = False


@dataclass(frozen=True)
class Submit:
    """Submit a run.

    :param instead_of: the record of an earlier run that was, or may have been, paid for and is left alone.
    """

    instead_of: Record | None = None


@dataclass(frozen=True)
class Attach:
    """Do not submit: this run has been paid for. Collect it."""

    record: Record


@dataclass(frozen=True)
class Ambiguous:
    """An earlier try was lost between its POST and the answer; nobody can tell whether a run was started."""

    record: Record


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
        return Submit(instead_of=None if record.phase == COLLECTED else record)
    if record.phase == INTENT:
        return Submit(instead_of=record) if resubmit_ambiguous else Ambiguous(record)
    if record.phase == COLLECTED and record.generation != generation:
        return Submit()
    return Attach(record)
