"""A list in pages comes to an end, and has every grid once, whatever the server makes of paging."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.api import ClientConfig, TransportError
from airflow_provider_bitscale.api.contracts import contract_for
from airflow_provider_bitscale.api.listing import MAX_PAGES, Listing
from airflow_provider_bitscale.api.models import GridPage
from airflow_provider_bitscale.api.parsing import parse_grid

contract = contract_for(ClientConfig(api_key="key", api_contract="workspace-key"))


def listing(size: int | None = 3) -> tuple[Listing, list[int]]:
    """A listing, and the numbers of the pages that it asks for."""
    asked: list[int] = []

    def page(number: int) -> Any:
        asked.append(number)
        return contract.get_workspace()

    return Listing(page, size), asked


def pages(total: int | None, *sizes: int) -> list[GridPage]:
    numbers = iter(range(sum(sizes)))
    return [GridPage([parse_grid({"id": f"g{next(numbers)}"}) for _ in range(size)], total) for size in sizes]


CASES: dict[str, tuple[list[GridPage], int]] = {
    "nothing": (pages(None, 0), 1),
    "one short page": (pages(None, 2, 0), 1),
    "full pages and a short one": (pages(None, 3, 3, 1, 0), 3),
    "only full pages": (pages(None, 3, 3, 0), 3),
    "the total is reached": (pages(5, 3, 2, 0), 2),
    "the server's pages are smaller": (pages(5, 2, 2, 1, 0), 3),
    "the total counts the page": (pages(3, 3, 3, 0), 3),
    "the total is too great": (pages(99, 3, 1, 0), 3),
    "an item is left out": ([GridPage(pages(None, 2)[0].grids, None, 1), *pages(None, 4, 0)], 3),
    "the page number is ignored": ([*pages(None, 3), *pages(None, 3), *pages(None, 3)], 2),
    "a grid moves to the next page": ([*pages(None, 3), GridPage(pages(None, 4)[0].grids[2:], None)], 2),
}


@pytest.mark.parametrize(("answers", "asked_for"), CASES.values(), ids=CASES.keys())
def test_it_ends_when_there_is_no_more(answers: list[GridPage], asked_for: int) -> None:
    found, asked = listing()
    for page in answers:
        if found.next_call() is None:
            break
        found.add(page)
    assert asked == list(range(1, asked_for + 1))
    assert found.next_call() is None
    everything = {grid.id for page in answers[:asked_for] for grid in page.grids}
    assert [grid.id for grid in found.grids] == sorted(everything)


def test_a_list_that_comes_whole_is_asked_for_once() -> None:
    found, asked = listing(size=None)
    assert found.next_call() is not None
    found.add(pages(None, 120)[0])
    assert (found.next_call(), asked, len(found.grids)) == (None, [1], 120)


def test_a_list_without_end_is_given_up() -> None:
    found, _ = listing(size=1)
    for number in range(MAX_PAGES):
        assert found.next_call() is not None
        found.add(GridPage([parse_grid({"id": f"g{number}"})], None))
    with pytest.raises(TransportError, match="no end"):
        found.next_call()
