"""Many processes book in one file: one after the other, each in its turn, whoever dies."""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from airflow_provider_bitscale.api.limit.bookings import Book, Operation, Turn
from airflow_provider_bitscale.api.limit.slot_book import EARLY_SECONDS, SlotBook
from airflow_provider_bitscale.api.shared_state.file_backend import FileBackend
from airflow_provider_bitscale.api.shared_state.shared_state import SharedState
from tests.support.forks import Fork
from tests.support.waiting import wait_until

PROCESSES = 8
GAP = 0.01
SECONDS = 2.0


class Booked(NamedTuple):
    """What a process has come to.

    :param granted_at: by the clock of the book, under its lock.
    :param tickets: that it was given.
    :param unanswered: questions.
    """

    granted_at: list[float]
    tickets: list[int]
    unanswered: int


def books(folder: Path, starts_at: float) -> Booked:
    """Send as fast as the book allows."""
    booked = Booked([], [], 0)
    _note_grants(booked.granted_at)
    state = SharedState(FileBackend(str(folder)))
    time.sleep(max(0.0, starts_at - time.time()))
    ticket, unanswered = -1, 0
    while time.time() < starts_at + SECONDS:
        turn = _ask(state, Book(GAP, 0.0, ticket=ticket))
        if turn is None:
            unanswered += 1
        elif turn.granted:
            ticket = -1
        else:
            if ticket < 0:
                ticket = turn.ticket
                booked.tickets.append(ticket)
            time.sleep(turn.wait)
    return booked._replace(unanswered=unanswered)


def _ask(state: SharedState, operation: Operation) -> Turn | None:
    return state.ask(lambda backend: backend.apply("limit", operation))


def _note_grants(granted_at: list[float]) -> None:
    """Have the book note when it grants a slot: only there it is known. For a process that ends."""
    apply = SlotBook.apply

    def noting(self: SlotBook, operation: Operation, now: float) -> Turn:
        turn = apply(self, operation, now)
        granted_at.extend([now] * turn.granted)
        return turn

    SlotBook.apply = noting  # type: ignore[method-assign]


def test_processes_book_one_after_the_other_and_each_gets_its_part(tmp_path: Path) -> None:
    starts_at = time.time() + 0.5
    with ExitStack() as stack:
        forks = [stack.enter_context(Fork(lambda: books(tmp_path, starts_at))) for _ in range(PROCESSES)]
        all_booked = [fork.result() for fork in forks]
    assert [booked.unanswered for booked in all_booked] == [0] * PROCESSES
    tickets = [ticket for booked in all_booked for ticket in booked.tickets]
    assert len(set(tickets)) == len(tickets), "no ticket is given twice"
    grants = sorted(granted for booked in all_booked for granted in booked.granted_at)
    assert min(later - earlier for earlier, later in pairwise(grants)) >= GAP - EARLY_SECONDS - 1e-5
    assert grants[-1] - grants[0] >= GAP * (len(grants) - 1) - EARLY_SECONDS
    assert len(grants) >= 0.5 * SECONDS / GAP, "and the pace is used"
    assert min(len(booked.granted_at) for booked in all_booked) >= len(grants) / PROCESSES / 2


def test_who_dies_with_the_lock_blocks_nobody(state: SharedState, tmp_path: Path) -> None:
    holds = tmp_path / "holds"

    def holds_for_ever(*_: object) -> Turn:
        holds.touch()
        time.sleep(3600)
        raise AssertionError

    def dies() -> None:
        SlotBook.apply = holds_for_ever  # type: ignore[method-assign, assignment]
        FileBackend(str(tmp_path)).apply("limit", Book(GAP, 0.0))

    with Fork(dies):
        wait_until(holds.exists, "the lock is held", every=0.01)
        assert _ask(state, Book(GAP, 0.0)) is None
    turn = _ask(state, Book(GAP, 0.0))
    assert turn is not None
    assert turn.granted == 1
