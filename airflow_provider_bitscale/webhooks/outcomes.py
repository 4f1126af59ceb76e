"""What becomes of a delivery that is believed; it is answered with this word."""

from __future__ import annotations

from collections.abc import Iterable

# A DAG or a task has been told.
ACCEPTED = "accepted"
# It had been told before.
DUPLICATE = "duplicate"
# It may have been told before: the run ended so long ago that this is not known any more.
TOO_OLD = "too_old"
# Neither a DAG is scheduled on it nor a task waits for it, and nothing is kept.
NO_SUBSCRIBERS = "no_subscribers"

_IN_ORDER = (ACCEPTED, DUPLICATE, TOO_OLD, NO_SUBSCRIBERS)


def outcome_of(parts: Iterable[str]) -> str:
    """The outcome of a delivery that was told to tasks and to DAGs."""
    return min(parts, key=_IN_ORDER.index)
