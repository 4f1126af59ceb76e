"""What has become of a row of a batch, in the field ``_status`` and in the counts of the manifest."""

from __future__ import annotations

SUCCEEDED = "succeeded"
FAILED = "failed"
UNKNOWN = "unknown"
NOT_SUBMITTED = "not_submitted"
DUPLICATE = "duplicate"

STATUSES = (SUCCEEDED, FAILED, UNKNOWN, NOT_SUBMITTED, DUPLICATE)
