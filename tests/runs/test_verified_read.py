"""A record that is not found, and whether that is believed."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.runs.state_store import PROBE_KEY, read_verified
from tests.support.json_store import HalfBlindStore, JsonStore


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
    assert read_verified(store, "record") == 7
    assert store.texts.keys() == {"record"}


@pytest.mark.parametrize("blind", [[True] * 3, [True] * 10, [True, False] * 5], ids=str)
def test_a_store_that_finds_nothing_does_not_say_that_there_is_nothing(blind: list[bool]) -> None:
    with pytest.raises(ConnectionError, match="nothing was submitted"):
        read_verified(HalfBlindStore(blind, other=7), "record")


def test_there_is_nothing_where_the_store_tells_what_was_just_written() -> None:
    store = JsonStore(other=7)
    assert read_verified(store, "record") is None
    assert PROBE_KEY not in store.texts
