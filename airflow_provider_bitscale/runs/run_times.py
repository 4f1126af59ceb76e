"""Pure: how long runs take, learned from those that ended, and when to poll one that has not."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterable

# How many of the latest runs say how long the next ones take.
REMEMBERED = 2000
FIRST_POLL = 1.0
# Where nothing is known, each poll comes later by this factor.
GROWTH = 1.25
EAGER_GROWTH = 1.1
# Fewer examples than this are believed for at most twice the age of a run.
FEW = 5
# What it may cost to notice an end late, in polls for a delay of a typical run's length.
PATIENT = 0.05
EAGER = 0.5
_CANDIDATES = (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.985, 1.0)
_LONG = 0.98
_SMALLEST_STEP = 1.05
# What a poll costs that finds a run under way: whoever waits has nothing else to send.
_FUTILE = 0.8
# After a poll at which others had ended, the next one comes no later than that, or than a share of the age.
_SOONEST = 1.0
# The share of runs that may end before the time from which their ends are noticed soon.
_SHORT = 0.05
# A run that had ended at its first poll is taken to have lasted for this share of that time, at least.
_SHORTEST = 0.5
# So that small differences do not cost a second poll.
_MARGIN = 1.01
_TRAVEL = 0.1


def likely_length(not_ended_at: float, seen_at: float, interval: float, chance: float) -> float:
    """Return a length for a run that ended between two polls, or before the first.

    :param not_ended_at: its age at the last poll that found it running; 0 if there was none.
    :param seen_at: its age when its end was seen.
    :param interval: seconds between polls.
    :param chance: a random number in [0, 1). It may have ended at any time, and a guess that is always the
        same would be taken for what runs are like.
    """
    after = max(not_ended_at, _SHORTEST * seen_at, seen_at - interval)
    return seen_at - chance * (seen_at - after)


class RunTimes:
    """The lengths of runs, in seconds from their submission.

    A poll costs a request, and a request is a row that is not submitted. So a run is polled when it has
    probably ended: at the age that costs least, by polls that find it running and, a little, by delay.
    """

    def __init__(self, lengths: Iterable[float] = ()) -> None:
        """:param lengths: that are known from elsewhere."""
        self._latest = deque(lengths)
        self._lengths = sorted(self._latest)
        self._oldest_not_ended = 0.0
        self._ended = 0
        # For new runs, by impatience: the number of examples that it was computed of, and the age.
        self._first_polls: dict[float, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._lengths)

    @property
    def long_run(self) -> float:
        """The length that hardly any run exceeds, as far as is known."""
        if not self._lengths:
            return self._oldest_not_ended
        return self._lengths[min(len(self._lengths) - 1, int(_LONG * len(self._lengths)))]

    @property
    def ended(self) -> int:
        """How many runs have been added."""
        return self._ended

    def latest(self, count: int) -> list[float]:
        """Return the lengths of the latest runs."""
        return list(self._latest)[-count:] if count else []

    def learn(self, lengths: Iterable[float]) -> None:
        """Take over lengths that are known from elsewhere."""
        for length in lengths:
            insort(self._lengths, length)
            self._latest.append(length)

    def add_age(self, age: float) -> None:
        """Note the age of a run that has not ended."""
        self._oldest_not_ended = max(self._oldest_not_ended, age)

    def add(self, not_ended_at: float, seen_at: float, reported: float | None = None) -> None:
        """Note the length of a run that has ended.

        :param not_ended_at: its age at the last poll that found it running; 0 if there was none.
        :param seen_at: its age now.
        :param reported: its length as BitScale reports it, which counts if it lies between the two.
        """
        length = reported
        if length is None or not not_ended_at < length <= seen_at:
            length = self._likely(not_ended_at, seen_at)
        insort(self._lengths, length)
        self._latest.append(length)
        self._ended += 1
        if len(self._latest) > REMEMBERED:
            oldest = self._latest.popleft()
            del self._lengths[bisect_right(self._lengths, oldest) - 1]

    def next_poll(self, age: float, impatience: float) -> float:
        """Return the age at which to poll next a run that had not ended at ``age``.

        :param impatience: ``PATIENT`` while requests are better spent on submitting, else ``EAGER``.
        """
        if age == 0.0 and self._lengths:
            # Asked for each run, and hardly changed by one more of many.
            known, poll = self._first_polls.get(impatience, (0, 0.0))
            if not known or self._ended - known > known // 50:
                poll = self._cheapest_poll(0.0, impatience)
                self._first_polls[impatience] = (self._ended, poll)
            return poll
        return self._cheapest_poll(age, impatience)

    def planned_poll(self, age: float, interval: float) -> float:
        """Return the age at which one who waits for a run polls it, which had not ended at ``age``.

        That is when it costs least, by polls that find it running and by delay; but never later than
        ``interval`` seconds after the length that only few runs undercut, or after ``age``: sooner after an
        age at which others had ended.

        :param age: at the last poll; 0 before the first.
        :param interval: the seconds of delay that are worth a poll.
        """
        first = bisect_right(self._lengths, age)
        longer = self._lengths[first:]
        if first > _SHORT * len(self._lengths):
            interval = min(interval, max(_SOONEST, (GROWTH - 1) * age))
        if not longer:
            return age + interval
        earliest = age or longer[int(_SHORT * len(longer))]
        best = latest = earliest + interval
        least, ended = float("inf"), 0.0
        for count, length in enumerate(longer, 1):
            candidate = min(length + _TRAVEL, latest)
            if length < latest:
                ended += length
            else:
                count -= 1
            lateness = candidate * count - ended
            cost = _FUTILE * (len(longer) - count) + lateness / interval
            if cost < least:
                best, least = candidate, cost
            if length >= latest:
                break
        return best

    def _cheapest_poll(self, age: float, impatience: float) -> float:
        first = bisect_right(self._lengths, age)
        longer = len(self._lengths) - first
        if not longer:
            if self._lengths and impatience > PATIENT:
                return age * EAGER_GROWTH + _TRAVEL
            # Nothing is known: the oldest run goes first, and the others wait for what its poll finds.
            return max(FIRST_POLL, age, self._oldest_not_ended * GROWTH)
        typical = max(self._lengths[first + longer // 2] - age, 0.1 * age, 1e-3)
        best, least = age, float("inf")
        for share in _CANDIDATES:
            rank = max(1, round(share * longer))
            candidate = self._lengths[first + rank - 1]
            cost = 1 - rank / longer + impatience * (candidate - age) / typical
            if cost < least:
                best, least = candidate, cost
        if longer < FEW:
            best = min(best, max(FIRST_POLL, 2 * age, self._lengths[0]))
        return max(best * _MARGIN + _TRAVEL, age * _SMALLEST_STEP)

    def _likely(self, after: float, until: float) -> float:
        """Return a length for a run that ended between two polls, the second of which may have been late.

        What is known already decides, if it has lengths between the two; else the later one.
        """
        first, last = bisect_right(self._lengths, after), bisect_right(self._lengths, until)
        return self._lengths[(first + last) // 2] if first < last else until
