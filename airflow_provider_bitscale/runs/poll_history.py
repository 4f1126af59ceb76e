"""Pure: for how long the polls of one wait have shown the same.

Some of what a poll shows is not to be believed at once: BitScale's replicas may lag behind the acceptance of
a run, and a key may be refused by a hiccup. How long it has lasted decides, see :mod:`runs.polling`.
"""

from __future__ import annotations

from airflow_provider_bitscale.api.errors import AuthenticationError, BitScaleError
from airflow_provider_bitscale.api.models import Run, RunStatus

# A refusal is not believed within this time of a good answer.
RECENTLY_SECONDS = 60.0


class PollHistory:
    """What the polls of one wait have shown. Time is passed in, in seconds of any one clock.

    :param good_at: when BitScale last gave a good answer to this key; None if that is not known.
    """

    def __init__(self, good_at: float | None = None) -> None:
        self._good_at = float("-inf") if good_at is None else good_at
        self._kind: object = None
        self._since = 0.0

    def lasting(self, seen: object, now: float) -> float:
        """Return the seconds for which polls have shown the same; 0 for the first time.

        Infinite for a refused key that is not known to have been good in the last minute.
        """
        kind = _kind(seen)
        if kind != self._kind:
            self._kind, self._since = kind, now
        if not isinstance(seen, BitScaleError):
            self._good_at = now
        if isinstance(seen, AuthenticationError) and self._since - self._good_at > RECENTLY_SECONDS:
            return float("inf")
        return now - self._since


def _kind(seen: object) -> object:
    if isinstance(seen, BitScaleError):
        return type(seen), seen.status
    if isinstance(seen, Run):
        unreadable = seen.status is RunStatus.COMPLETED and seen.outputs is None
        return seen.reported_status, unreadable
    return type(seen)
