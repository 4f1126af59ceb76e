"""Pure: what a run that BitScale reports as failed says about whether another one would do better."""

from __future__ import annotations

import re

from airflow_provider_bitscale.api import errors

# `Run.error` is "CODE: message", or a text alone. A text about credits may as well speak of another service
# that the grid asks, so only plain words are taken for the account's.
_CODE = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*(?::|$)")
_NO_CREDITS = re.compile(
    r"\s*(?:insufficient|not enough|no|too few|out of|ran out of)(?: \w+)? credits\b", re.IGNORECASE
)


def account_error(reason: str | None) -> type[errors.BitScaleError] | None:
    """Return the error of the account that a failed run's ``error`` tells of; None if it is the run's alone.

    The codes are those of "Error Handling" in the document of v1.1.0, and others of their kind.
    """
    code = _CODE.match(reason or "")
    words = set(code.group(1).upper().split("_")) if code else set()
    if words & {"CREDIT", "CREDITS"} or _NO_CREDITS.match(reason or ""):
        return errors.InsufficientCreditsError
    if "QUOTA" in words or {"RUN", "LIMIT"} <= words:
        return errors.RunLimitExceededError
    return None


def failure_of(error: errors.RunFailedError, reason: str | None) -> errors.BitScaleError:
    """Return the error that a failed run ends its task with, by the ``error`` of the run."""
    kind = account_error(reason)
    if kind is None:
        return error
    return kind(f"{error.message}. Another run would fail alike: clear the task once the account is in order")
