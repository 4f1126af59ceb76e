"""Pure: whether a try goes on with what an earlier one recorded, or starts over: for runs and batches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol


@dataclass(frozen=True)
class Try:
    """What Airflow says of one try of a task instance; None where the task runner does not say.

    :param max_tries: set when the task instance is made, and by each Clear to the tries before it plus the
        task's retries; the same over retries.
    :param number: which try it is, from 1; goes on over retries and Clears.
    :param retries: of the task, as its DAG has it at that time.
    :param clear_number: how often tasks of the DAG run have been cleared, this one or others.
    """

    max_tries: int
    number: int | None = None
    retries: int | None = None
    clear_number: int | None = None


def is_cleared(earlier: Try, now: Try, *, succeeded: bool) -> bool:
    """Whether a person has cleared the task since an earlier try, rather than Airflow retried it.

    A Clear nearly always changes ``max_tries``. If the retries have been lowered meanwhile, it may set the
    same number again; then ``max_tries`` less the retries is how many tries were before it. A retry for which
    the retries were lowered can look alike, but no Clear is counted. What stays unclear is taken for a retry,
    which does not pay again.

    :param succeeded: whether the earlier try's success callback was called. Airflow calls it, too, if its
        report of the success fails, and then retries the task.
    """
    if now.max_tries != earlier.max_tries:
        return True
    if earlier.number is None or now.number is None or now.retries is None:
        return succeeded
    if earlier.clear_number is not None and earlier.clear_number == now.clear_number:
        return False
    return earlier.number <= now.max_tries - now.retries < now.number


class Resume(Enum):
    """What a try does with the record of an earlier one."""

    START_OVER = auto()
    """The task has succeeded with it, and wants something else now or was cleared."""
    ATTACH = auto()
    """Collect what was paid for."""
    CHANGED = auto()
    """It is unfinished, and of a request that differs from this try's."""


class EarlierRecord(Protocol):
    """What the rule reads of a record."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def last_try(self) -> Try: ...
    @property
    def collected(self) -> bool: ...


def resume_rule(earlier: EarlierRecord, fingerprint: str, this_try: Try) -> Resume:
    """Return what a try does with the record of an earlier one, by the fingerprint of what it would buy."""
    changed = earlier.fingerprint != fingerprint
    if earlier.collected and (changed or is_cleared(earlier.last_try, this_try, succeeded=True)):
        return Resume.START_OVER
    return Resume.CHANGED if changed else Resume.ATTACH
