"""What has become of a row of a batch, in the field ``_status`` and in the counts of the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SUCCEEDED = "succeeded"
FAILED = "failed"
UNKNOWN = "unknown"
NOT_SUBMITTED = "not_submitted"
DUPLICATE = "duplicate"

STATUSES = (SUCCEEDED, FAILED, UNKNOWN, NOT_SUBMITTED, DUPLICATE)

# How the error of a row begins whose run BitScale accepted without an id that could be read.
_ACCEPTED = "accepted and paid for, but the run cannot be asked for: "


def unreadable_acceptance(why: str) -> RowResult:
    """Return the result of a row whose run was accepted and cannot be polled. It is never submitted again."""
    return RowResult(UNKNOWN, error=_ACCEPTED + why)


def was_accepted(error: Any) -> bool:
    """Whether the error of a row without a run id says that BitScale accepted its run."""
    return isinstance(error, str) and error.startswith(_ACCEPTED)


@dataclass(frozen=True, slots=True)
class RowResult:
    """What has become of a row.

    :param status: one of ``STATUSES``.
    :param credits: credits that its run consumed, where that is known.
    :param outputs: what was found, by output name; empty unless the row succeeded.
    """

    status: str
    run_id: str | None = None
    credits: float | int | None = None
    error: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_unknown_cost(self) -> bool:
        """Whether a run was, or may have been, paid for, at a cost that is not known."""
        return self.credits is None and self.status in (SUCCEEDED, UNKNOWN)

    @property
    def cost(self) -> float | None:
        """Credits that its run consumed; None where a run may have consumed some, and it is not known."""
        return None if self.has_unknown_cost else self.credits or 0

    @property
    def is_collectable(self) -> bool:
        """Whether the run is known, and can be polled again at no cost."""
        return self.status == UNKNOWN and self.run_id is not None
