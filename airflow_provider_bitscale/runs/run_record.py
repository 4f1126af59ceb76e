"""What survives a crash: the record of one run, and what a new try makes of it.

The record goes through ``intent`` (a POST is about to leave), ``submitted`` (BitScale accepted it) and
``collected`` (the task has succeeded with it); ``unreadable``: BitScale accepted it, but its answer names no
run. It lives in Airflow's task state store, one per task instance and map index; retries and Clear leave it
alone. Beside it, a person may write the id of a run that the task shall adopt.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.runs import state_store
from airflow_provider_bitscale.runs.resume import Resume, Try, resume_rule

RUN_KEY = "bitscale_run"
# Written by a person, who knows which run the task has paid for.
ADOPT_KEY = "bitscale_adopt_run_id"
NOT_TOLD = "no delivery came that would tell whether a run was started: it may have been paid for, or not"
RUN_RECOVERY = (
    f"Look for the row in BitScale. If it ran, write its run id as JSON text to the key {ADOPT_KEY!r} of "
    f"the task's state store and clear the task: it collects that run. If it did not, delete the key "
    f"{RUN_KEY!r} there and clear the task: it submits the row again."
)
_RESUBMIT = "on_ambiguous_submit is 'resubmit'"
# For how long the intent is tried to be written, before which nothing is sent: a retry costs nothing either.
INTENT_PATIENCE = 60.0

INTENT = "intent"
UNREADABLE = "unreadable"
SUBMITTED = "submitted"
COLLECTED = "collected"


def adopt_advice(run_id: str | None) -> str:
    """How a task goes on with a run whose id is known to a person alone."""
    return (
        f"To collect it, write {json.dumps(run_id)} to the key {ADOPT_KEY!r} of the task's state store and "
        "clear the task."
    )


@dataclass(frozen=True)
class Record:
    """One run.

    :param last_try: the last that began with the run or handed its result over; tells a Clear from a retry.
    :param fingerprint: of the request, see :meth:`RunRequest.fingerprint`.
    :param deadline: Unix seconds.
    :param column_names: names by column id, for the keys of the result.
    :param input_columns: ids of the columns that echo inputs.
    :param result: the result of a synchronous run, which cannot be asked for again.
    :param delivery_key: under which the run's webhook delivery will be; None if none is expected (any more).
    :param delivery_conn_id: the connection that the delivery has to be signed with.
    :param handed_on: a sensor waits for the run, and for its delivery, when the task has succeeded.
    :param submitted_at: when BitScale had answered an asynchronous submission, in Unix seconds.
    :param answer: what BitScale answered, where it accepted a run that the answer does not name.
    """

    phase: str
    last_try: Try
    fingerprint: str
    grid_id: str
    deadline: float
    run_id: str | None = None
    column_names: dict[str, str] = field(default_factory=dict)
    input_columns: list[str] = field(default_factory=list)
    result: dict[str, Any] | None = None
    delivery_key: str | None = None
    delivery_conn_id: str | None = None
    handed_on: bool = False
    answer: str | None = None
    submitted_at: float | None = None

    @property
    def lacks_id(self) -> bool:
        """Whether a run was, or may have been, paid for whose id is not known."""
        return self.phase in (INTENT, UNREADABLE)

    @property
    def collected(self) -> bool:
        """Whether the task has succeeded with it."""
        return self.phase == COLLECTED

    def submitted(
        self, run_id: str | None, result: dict[str, Any] | None = None, *, at: float | None = None
    ) -> Record:
        """Return the record once BitScale has accepted the run; of a synchronous one, with its result."""
        return replace(self, phase=SUBMITTED, run_id=run_id, result=result, answer=None, submitted_at=at)


class RunRecords:
    """Reads and writes the record of one task instance."""

    def __init__(self, store: state_store.Store) -> None:
        self._store = store

    def read(self) -> Record | None:
        """Return the record, or None if there is none.

        :raises AmbiguousSubmitError: there is one that cannot be read, which is not the same as none.
        :raises ConnectionError: the store cannot be relied on; see :func:`read_verified`.
        """
        record = state_store.read_record(self._store, RUN_KEY, Record, RUN_RECOVERY)
        if record is not None and not _makes_sense(record):
            raise state_store.unreadable(asdict(record), RUN_RECOVERY)
        return record

    def write(self, record: Record) -> None:
        """Make a record durable."""
        self._store.set(RUN_KEY, asdict(record))

    def run_to_adopt(self, this_try: Try) -> str | None:
        """Return the id that a person wrote of the run that the task shall go on with; None if there is none.

        :param this_try: which is a later one, if there is an id: only an earlier try can have lost one.
        :raises InvalidRequestError: what was written is not an id.
        :raises ConnectionError: the store cannot be relied on; see :func:`read_verified`.
        """
        is_first = this_try.number == 1
        stored = self._store.get(ADOPT_KEY) if is_first else state_store.read_verified(self._store, ADOPT_KEY)
        if stored is None:
            return None
        if not isinstance(stored, str) or not stored.strip():
            raise errors.InvalidRequestError(
                f"the key {ADOPT_KEY!r} of the task's state store must hold a run id as JSON text, not "
                f"{stored!r}; nothing was submitted"
            )
        return stored.strip()

    def adopted(self, record: Record) -> None:
        """Record that the task goes on with the run that a person named."""
        self.write(record)
        self._store.delete(ADOPT_KEY)

    def delivered(self, record: Record) -> Record | None:
        """Return the record with the id of its run, if that was delivered meanwhile."""
        hint = self._store.get(record.delivery_key) if record.delivery_key else None
        if hint is None:
            return None
        told = record.submitted(str(hint["run_id"]))
        self.write(told)
        return told

    def collected(self, last_try: Try) -> None:
        """Record that the task has succeeded, and waits for no delivery any more."""
        record = self.read()
        if record is not None and record.lacks_id:
            # What it succeeded with could not be written: the next Clear is another wish, all the same.
            self.forget()
        elif record is not None:
            awaited = record.delivery_key if record.handed_on else None
            self.write(replace(record, phase=COLLECTED, last_try=last_try, delivery_key=awaited))

    def forget(self) -> None:
        """Record that no run was started, or that it has failed: the next try submits again."""
        self._store.delete(RUN_KEY)


def _makes_sense(record: Record) -> bool:
    if record.lacks_id:
        return True
    return record.phase in (SUBMITTED, COLLECTED) and (record.run_id is not None or record.result is not None)


@dataclass
class Intent:
    """The journal of one submission: written down when the request leaves, and not before."""

    run_records: RunRecords
    record: Record
    _written: bool = False

    def about_to_send(self) -> None:
        """Make the intent durable. What raises here keeps the request from leaving.

        This also proves that the task is still this try's: Airflow refuses the writes of an earlier one.

        :raises OwnerChangedError: it is not.
        """
        self._written = True
        state_store.DurableWrite(partial(self.run_records.write, self.record)).persist(INTENT_PATIENCE)

    def not_processed(self) -> None:
        """Nothing was started: there is no intent any more. A record of another run stays."""
        if self._written:
            state_store.DurableWrite(self.run_records.forget).persist(INTENT_PATIENCE)
        self._written = False


@dataclass(frozen=True)
class Submit:
    """Submit a run.

    :param instead_of: the record of an earlier run that was, or may have been, paid for and is left alone.
    """

    instead_of: Record | None = None

    def warning(self, fingerprint: str) -> str | None:
        """Return the warning that an earlier run is left alone; None if none is."""
        earlier = self.instead_of
        if earlier is None:
            return None
        paid = f"paid for run {earlier.run_id}" if earlier.run_id else "may have paid for a run"
        changed = earlier.fingerprint != fingerprint
        why = "the inputs, the grid or the workspace have changed" if changed else _RESUBMIT
        return f"An earlier try {paid}; submitting another one, since {why}"


@dataclass(frozen=True)
class Attach:
    """Do not submit: this run has been paid for. Collect it."""

    record: Record


@dataclass(frozen=True)
class Ambiguous:
    """Do not submit: a run was paid for, or may have been, and its id is not known."""

    record: Record

    @property
    def error(self) -> errors.BitScaleError:
        """What is known, and what a person can do about it."""
        if self.record.phase == UNREADABLE:
            return errors.UnreadableAcceptanceError(
                "an earlier try paid for a run, but the answer does not name it: "
                f"{self.record.answer}. {RUN_RECOVERY}"
            )
        return errors.AmbiguousSubmitError(
            "an earlier try was lost between its request and the answer: a run may have been started and "
            f"paid for, or not. {RUN_RECOVERY}"
        )


def next_step(
    record: Record | None, *, fingerprint: str, this_try: Try, resubmit_ambiguous: bool
) -> Submit | Attach | Ambiguous:
    """Return what a try does, given the record that earlier ones left behind.

    :param fingerprint: of the request this try would make.
    :param resubmit_ambiguous: whether to pay again rather than fail where an earlier try is ambiguous.
    """
    if record is None:
        return Submit()
    resume = resume_rule(record, fingerprint, this_try)
    if resume is Resume.START_OVER:
        return Submit()
    if resume is Resume.CHANGED:
        return Submit(instead_of=record)
    if record.phase == UNREADABLE:
        return Ambiguous(record)
    if record.phase == INTENT:
        return Submit(instead_of=record) if resubmit_ambiguous else Ambiguous(record)
    return Attach(record)
