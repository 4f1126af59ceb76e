"""The slots that processes book together: fair, within the limit, and nobody tries twice. Virtual time."""

from __future__ import annotations

from airflow_provider_bitscale.api.limit.bookings import Book, Turn
from airflow_provider_bitscale.api.limit.pace import evenly
from airflow_provider_bitscale.api.limit.slot_book import SlotBook

PACE = evenly(5, 1.0)
AT = 1_000_000.0


def book(book: SlotBook, now: float, ticket: int = -1, at_most: int = 1) -> Turn:
    return book.apply(Book(PACE.gap, PACE.behind, True, ticket, at_most), now)


def test_the_first_slot_is_free_and_the_next_ones_come_in_order() -> None:
    slots = SlotBook()
    assert book(slots, AT).granted == 1
    second, third = book(slots, AT), book(slots, AT)
    assert (second.granted, third.granted) == (0, 0)
    assert second.wait < third.wait
    assert book(slots, AT + second.wait, third.ticket).granted == 0
    assert book(slots, AT + second.wait, second.ticket).granted == 1
    assert book(slots, AT + third.wait, third.ticket).granted == 1
