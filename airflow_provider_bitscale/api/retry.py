"""Pure: what follows a failed attempt: send again after a pause, or give up with an error.

A request may be sent again if it is safe to repeat (every GET), or if it was provably not processed: the
connection was never made, or the answer was 429. A POST that may have been processed is *ambiguous*.
"""

from __future__ import annotations

from airflow_provider_bitscale.api import errors

MAX_ATTEMPTS = 4
FIRST_BACKOFF = 0.5
MAX_BACKOFF = 30.0
# How long one request may go on being answered 429 before the caller hears of it.
MAX_RATE_LIMITED = 300.0


def backoff(failures: int, *, first: float = FIRST_BACKOFF, longest: float = MAX_BACKOFF) -> float:
    """Seconds to pause after failures in a row: ``first``, then double each time, up to ``longest``."""
    return min(longest, first * 2.0 ** min(failures - 1, 10)) if failures > 0 else 0.0


def after_failure(
    error: errors.BitScaleError,
    *,
    ambiguity: str | None,
    attempt: int,
    elapsed: float,
    jitter: float,
    max_attempts: int = MAX_ATTEMPTS,
) -> float | errors.BitScaleError:
    """Return the seconds to pause before the request is sent again, or the error to give up with.

    :param ambiguity: what is unknown when the request may have been processed, for the message; None if it
        is safe to repeat.
    :param attempt: number of the attempt that failed, from 1.
    :param elapsed: seconds since the first attempt began.
    :param jitter: a random number in [0, 1).
    :param max_attempts: attempts in all; 1 for a caller that repeats the request itself.
    """
    if ambiguity is not None and not provably_not_processed(error):
        return _ambiguous(error, ambiguity) if _may_have_been_processed(error) else error
    if not isinstance(error, errors.TRANSIENT) or _is_redirect(error):
        return error
    # A Retry-After of 0, or in the past, is not obeyed.
    wait = max(backoff(attempt) * (0.75 + 0.5 * jitter), error.retry_after or 0.0)
    patient = isinstance(error, errors.RateLimitedError) and max_attempts > 1
    if elapsed + wait > MAX_RATE_LIMITED or not (patient or attempt < max_attempts):
        return error
    return wait


def provably_not_processed(error: errors.BitScaleError) -> bool:
    """Whether a request that failed so was not processed, and may be sent again, even if it is paid."""
    return isinstance(error, errors.RateLimitedError) or (
        isinstance(error, errors.TransportError) and not error.sent
    )


def _may_have_been_processed(error: errors.BitScaleError) -> bool:
    # The document does not say whether a run goes ahead whose webhook could not be delivered.
    return (
        isinstance(error, (errors.ServerError, errors.TransportError))
        or error.code == errors.CODE_WEBHOOK_DELIVERY_FAILED
    )


def _is_redirect(error: errors.BitScaleError) -> bool:
    return error.status is not None and 300 <= error.status < 400


def _ambiguous(error: errors.BitScaleError, ambiguity: str) -> errors.AmbiguousSubmitError:
    return errors.AmbiguousSubmitError(
        f"{ambiguity}: {error.message}",
        status=error.status,
        code=error.code,
        request=error.request,
        retry_after=error.retry_after,
    )
