"""Pure: puts the pages of a list together, whatever their paging fields are called."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_bitscale.api.call import Call
from airflow_provider_bitscale.api.errors import TransportError
from airflow_provider_bitscale.api.models import Grid, GridPage

# A server that never comes to an end must not keep us for ever.
MAX_PAGES = 1000


class Listing:
    """Asks for pages until one brings nothing new, or is short while no total announces more.

    ::

        while (call := listing.next_call()) is not None:
            listing.add(send(call))
        return listing.grids

    :param page: the call for a page, counted from 1.
    :param page_size: grids asked for on each page; None where the first answer is the whole list.
    """

    def __init__(self, page: Callable[[int], Call[GridPage]], page_size: int | None = None) -> None:
        self._page = page
        self._page_size = page_size
        self._pages = 0
        self._complete = False
        self._by_id: dict[str, Grid] = {}

    @property
    def grids(self) -> list[Grid]:
        """The grids of the pages so far, each once, in the order of the server."""
        return list(self._by_id.values())

    def next_call(self) -> Call[GridPage] | None:
        """Return the call for the next page, or None when the list is complete.

        :raises TransportError: the list has no end.
        """
        if self._complete:
            return None
        if self._pages == MAX_PAGES:
            raise TransportError(f"the list of grids has no end: {MAX_PAGES} pages were read")
        return self._page(self._pages + 1)

    def add(self, page: GridPage) -> None:
        """Take the page that was asked for."""
        self._pages += 1
        known = len(self._by_id)
        for grid in page.grids:
            self._by_id.setdefault(grid.id, grid)
        # A server that ignores the page number answers the same page over and over.
        brought_nothing = len(self._by_id) == known
        is_short = self._page_size is None or len(page.grids) + page.left_out < self._page_size
        # Only a total that says more is believed: it might count the page. A short page might be the server's
        # own idea of a page's size.
        more = page.total is not None and len(self._by_id) < page.total
        self._complete = brought_nothing or (is_short and not more)
