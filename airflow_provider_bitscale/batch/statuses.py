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


@dataclass(frozen=True, slots=True)
class Settled:
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
    def is_untold(self) -> bool:
        """Whether a run was, or may have been, paid for, and nobody knows how much."""
        return self.credits is None and self.status in (SUCCEEDED, UNKNOWN)

    @property
    def is_collectable(self) -> bool:
        """Whether the run is known, and can be asked for again at no cost."""
        return self.status == UNKNOWN and self.run_id is not None
