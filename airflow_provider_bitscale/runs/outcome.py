"""Pure: how a wait has ended, and the trigger event that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_bitscale.api.errors import KINDS, BitScaleError

COMPLETED: Final = "completed"
FAILED: Final = "failed"
TIMED_OUT = "timed_out"
EXECUTION_TIMED_OUT = "execution_timed_out"
REFUSED = "refused"

_KINDS_OF_OUTCOME = (COMPLETED, FAILED, TIMED_OUT, EXECUTION_TIMED_OUT, REFUSED)


@dataclass(frozen=True)
class Outcome:
    """How a wait has ended.

    :param kind: ``completed``; ``failed``: BitScale says so; ``timed_out``: not finished at the deadline,
        which is not a failure; ``execution_timed_out``: not finished when the task's ``execution_timeout``
        ended the try; ``refused``: BitScale refuses to tell (a wrong key, an unknown run, outputs that
        cannot be read).
    :param data: what was seen last, as JSON; None if nothing was.
    :param error: the error behind ``timed_out`` (if polling failed) and ``refused``.
    """

    kind: str
    data: dict[str, Any] | None = None
    error: BitScaleError | None = None

    def to_event(self) -> dict[str, Any]:
        """As the payload of a trigger event: JSON only."""
        error = self.error and {"kind": _kind(self.error), **self.error.fields()}
        return {"outcome": self.kind, "data": self.data, "error": error}

    @classmethod
    def from_event(cls, event: Any) -> Outcome:
        """Read the payload of a trigger event.

        :raises ValueError: it is not one of :meth:`to_event`.
        """
        if not isinstance(event, dict) or event.get("outcome") not in _KINDS_OF_OUTCOME:
            raise ValueError(f"the trigger sent an event that is none of ours: {event!r}")
        error = event.get("error")
        if error is not None:
            try:
                fields = {key: value for key, value in error.items() if key != "kind"}
                error = KINDS[error["kind"]](**fields)
            except (AttributeError, KeyError, TypeError):
                raise ValueError(f"the trigger sent an error that is none of ours: {error!r}") from None
        return cls(event["outcome"], event.get("data"), error)


def _kind(error: BitScaleError) -> str:
    # An error may be the Airflow twin of its kind.
    return next(kind.__name__ for kind in type(error).__mro__ if KINDS.get(kind.__name__) is kind)
