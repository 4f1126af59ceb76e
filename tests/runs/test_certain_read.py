"""A record that is not found, and whether that is believed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from airflow_provider_bitscale.runs.certain_read import PROBE_KEY, read_certainly
from tests.runs.test_run_record import JsonStore


class HalfBlindStore(JsonStore):
    """A store of which some reads are answered "no such key" by something in between.

    :param blind: of each read, whether it is; none are after the last of these.
    """

    def __init__(self, blind: Iterable[bool], **values: Any) -> None:
        super().__init__(**values)
        self._blind: Iterator[bool] = iter(blind)

    def get(self, key: str) -> Any:
        return None if next(self._blind, False) else super().get(key)


@pytest.mark.parametrize(
    "blind",
    [
        [],
        [True],
        [True, True],
        pytest.param([True, True, False], id="by one of two servers, in turns"),
    ],
    ids=str,
)
def test_a_record_is_found_though_reads_of_it_were_answered_with_not_found(blind: list[bool]) -> None:
    store = HalfBlindStore(blind, record=7)
    assert read_certainly(store, "record") == 7
    assert store.texts.keys() == {"record"}


@pytest.mark.parametrize("blind", [[True] * 3, [True] * 10, [True, False] * 5], ids=str)
def test_a_store_that_finds_nothing_does_not_say_that_there_is_nothing(blind: list[bool]) -> None:
    with pytest.raises(ConnectionError, match="nothing was submitted"):
        read_certainly(HalfBlindStore(blind, other=7), "record")


def test_there_is_nothing_where_the_store_tells_what_was_just_written() -> None:
    store = JsonStore(other=7)
    assert read_certainly(store, "record") is None
    assert PROBE_KEY not in store.texts
