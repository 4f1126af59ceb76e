"""Pure: how many runs may be in flight, and when answers to submissions stop a batch.

The API as it is served is known only in part, and each acceptance is paid for. So a batch begins with one
run, and submits more only once its answer was understood, and a poll of it, too. From then on ends count: it
goes on to the first few hundred runs, and beyond them for each whose end was understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.runs import polling

# How many runs may be in flight before any end is known, and how many more for each known end.
FIRST_IN_FLIGHT = 250
IN_FLIGHT_PER_ENDED = 2
# How many accepted answers, or ends, may be unreadable: the very first ones, and later in a row.
MOST_FIRST_UNREADABLE = 3
MOST_UNREADABLE = 20
# How many of the very first submissions may be refused alike.
MOST_FIRST_ALIKE = 10
# How long polls may find nothing by an id that was not spelled as documented.
TRIAL_SECONDS = 20.0

# What they say is about the values of one row.
_CODES_OF_ROWS = ("MISSING_REQUIRED_FIELD", "INVALID_COLUMN_TYPE")
_STATUSES_OF_ROWS = (413, 414)


class Trial(NamedTuple):
    """The first run, whose id the answer did not give as documented, and what was ``unexpected`` in words."""

    row: int
    unexpected: Sequence[str]


class Brake:
    """Takes in what submissions and polls of one batch are answered with.

    :param max_in_flight: runs that may be under way at once; None for no such limit.
    :param proven: whether a run of this batch has succeeded before.
    """

    def __init__(self, max_in_flight: int | None = None, *, proven: bool = False) -> None:
        self._max_in_flight = max_in_flight
        self._read = self._understood = self._seen_end = proven
        self._unreadable = self._lost = 0
        self._first_alike: tuple[int | None, str | None] | None = None
        self._alike = 0
        self._trial: Trial | None = None

    @property
    def proven(self) -> bool:
        """Whether an answer to a submission was understood, and what became of the run, too."""
        return self._read and self._understood

    def allows(self, in_flight: int, known: int) -> bool:
        """Whether one more run may be submitted.

        :param in_flight: runs under way, and submissions on their way.
        :param known: rows of this try whose run ended, or which were refused; not those given up.
        """
        if not self.proven:
            return in_flight == 0
        if self._max_in_flight is not None and in_flight >= self._max_in_flight:
            return False
        return in_flight + self._lost < FIRST_IN_FLIGHT + IN_FLIGHT_PER_ENDED * known

    def note_resumed(self) -> None:
        """Note that a run goes on whose id an earlier try has read."""
        self._read = True

    def note_accepted(self, row: int, unexpected: Sequence[str] = ()) -> None:
        """Note that a submission was accepted: with a run or a result, perhaps in an unexpected form."""
        if unexpected and not self.proven:
            self._trial = Trial(row, unexpected)
        self._read = True
        self._unreadable = 0

    def note_understood(self, *, ended: bool) -> None:
        """Note that a poll, a delivery or the answer itself shows what has become of a run.

        :param ended: whether it has ended.
        """
        self._understood = True
        self._trial = None
        if ended:
            self._seen_end, self._lost = True, 0

    def note_unreadable(self) -> bool:
        """Count an accepted submission whose answer cannot be read; whether the batch stops."""
        self._unreadable += 1
        return self._unreadable >= (MOST_UNREADABLE if self._read else MOST_FIRST_UNREADABLE)

    def note_given_up(self, *, slow: bool) -> bool:
        """Count a run that is given up; whether the batch stops, as no end is understood any more.

        :param slow: whether it may have gone on; then it counts only until some run was understood.
        """
        self._lost += not (slow and self.proven)
        return self._lost >= (MOST_UNREADABLE if self._seen_end else MOST_FIRST_UNREADABLE)

    def note_not_accepted(self, error: errors.BitScaleError) -> bool:
        """Count a submission that was refused, or is ambiguous; whether the batch stops.

        It does if the very first ones were all answered alike, and the answer is not about the row's values.
        """
        alike = (error.status, error.code)
        if self._read or self._unreadable or _is_about_row(error):
            return False
        if not self._alike:
            self._first_alike = alike
        if self._alike < 0 or alike != self._first_alike:
            self._alike = -1
            return False
        self._alike += 1
        return self._alike >= MOST_FIRST_ALIKE

    def judge_trial(self, row: int, seen: object, lasting: float) -> Trial | None:
        """Decide whether the undocumented id of the first run is wrong; the trial if it is, else None.

        :param lasting: seconds for which polls have shown the same.
        """
        trial = self._trial
        if trial is None or trial.row != row:
            return None
        if isinstance(seen, Run):
            # There is such a run, whatever its status.
            self._trial = None
        elif lasting >= _tried_for(seen):
            self._trial = None
            return trial
        return None


def _tried_for(seen: object) -> float:
    """Return for how many seconds polls may show this by an id that may be a wrong one."""
    if isinstance(seen, errors.NotFoundError):
        return polling.NOT_FOUND_SECONDS
    # An outage says nothing of an id. But a wrong one may be what makes a server drop the connection.
    is_outage = isinstance(seen, (errors.ServerError, errors.RateLimitedError, errors.AuthenticationError))
    return float("inf") if is_outage else TRIAL_SECONDS


def _is_about_row(error: errors.BitScaleError) -> bool:
    return error.code in _CODES_OF_ROWS or error.status in _STATUSES_OF_ROWS
