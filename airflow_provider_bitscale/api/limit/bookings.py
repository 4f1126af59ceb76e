"""What is asked of a slot book, and what it answers: the same for a file and for Redis."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class Turn(NamedTuple):
    """What a booking has come to, and what the book knows of the server's window.

    :param granted: slots that were claimed: so many requests are to leave now. 0: wait.
    :param ticket: to come back with after ``wait`` seconds; -1 if slots were granted.
    :param wait: seconds until it is probably that ticket's turn, or until the book must hear of it again:
        tickets that nobody comes back with are passed over.
    :param hold: seconds until any request may leave, whatever its ticket: a pause, or a window used up.
    :param limit: requests in a window; 0 if no window is known, as for ``used`` and ``reset_in``.
    :param used: requests of this window that are known to be used.
    :param reset_in: seconds until the window ends.
    """

    granted: int
    ticket: int
    wait: float
    hold: float
    limit: float
    used: float
    reset_in: float


class Book(NamedTuple):
    """Claim slots if it is the ticket's turn.

    :param gap: seconds from one request to the next at the pace that is configured or assumed; 0 for none.
    :param behind: seconds behind that pace that may be caught up.
    :param assumed: whether the pace is assumed, and gives way to a window that the server tells of.
    :param ticket: from an earlier booking; -1 to take one.
    :param at_most: slots to claim; more than one only while nobody else waits.
    """

    gap: float
    behind: float
    assumed: bool = False
    ticket: int = -1
    at_most: int = 1


class GiveBack(NamedTuple):
    """Give back a ticket, or slots that were claimed and not used.

    :param ticket: -1 for none.
    :param granted: slots; 0 for none.
    """

    ticket: int = -1
    granted: int = 0


class Refused(NamedTuple):
    """A request was answered 429.

    :param left_ago: seconds since it left.
    :param asked: seconds that the server asks to wait; 0 if it does not.
    :param jitter: a random number in [0, 1), to spread those who wait for the same moment.
    """

    left_ago: float
    asked: float
    jitter: float


class Told(NamedTuple):
    """An answer told of the server's window.

    :param limit: requests in it.
    :param used: those that it counted.
    :param reset_in: seconds until it ends.
    """

    limit: float
    used: float
    reset_in: float


Operation: TypeAlias = "Book | GiveBack | Refused | Told"
