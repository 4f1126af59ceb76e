"""What becomes of a verified delivery: the word that it is answered with."""

from __future__ import annotations

from collections.abc import Iterable

# A DAG or a task has it now.
ACCEPTED = "accepted"
# They had it before.
DUPLICATE = "duplicate"
# They may have had it before: the run ended so long ago that the mark of it is deleted.
TOO_OLD = "too_old"
# No DAG is scheduled on it and no task waits for it; nothing is stored.
NO_SUBSCRIBERS = "no_subscribers"

_IN_ORDER = (ACCEPTED, DUPLICATE, TOO_OLD, NO_SUBSCRIBERS)


def outcome_of(parts: Iterable[str]) -> str:
    """Return the outcome of a delivery from those of its parts, for tasks and for DAGs."""
    return min(parts, key=_IN_ORDER.index)
