"""What is kept of a batch as a whole, and whether a try goes on with it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from airflow_provider_bitscale.api import AmbiguousSubmitError, InvalidRequestError
from airflow_provider_bitscale.batch.store.batch_record import (
    BATCH_KEY,
    BatchRecord,
    continues,
    read_batch,
    write_batch,
)
from airflow_provider_bitscale.runs.resume import Try
from tests.batch.journals import BATCH
from tests.support.json_store import HalfBlindStore, JsonStore

RETRIED, CLEARED = Try(2, 2, 2, 0), Try(3, 2, 2, 1)


@pytest.mark.parametrize(
    "batch", [BATCH, replace(BATCH, collected=True, output_path=None, opened=7, tries=["t1", "t2"])]
)
def test_a_batch_survives_as_json(batch: BatchRecord) -> None:
    store = JsonStore()
    assert read_batch(store) is None
    write_batch(store, batch)
    assert read_batch(store) == batch


UNREADABLE_HEADS: list[Any] = [
    "text",
    7,
    [],
    ["a"],
    {},
    {"batch_id": "b1"},
    {"a field of the future": 1},
    {key: value for key, value in asdict(BATCH).items() if key != "opened"},
]


@pytest.mark.parametrize("stored", UNREADABLE_HEADS, ids=str)
def test_a_head_that_cannot_be_read_is_not_the_same_as_none(stored: Any) -> None:
    with pytest.raises(AmbiguousSubmitError, match=f"cannot be read.*delete the key '{BATCH_KEY}'"):
        read_batch(JsonStore(**{BATCH_KEY: stored}))


def test_a_head_that_is_not_found_is_not_missing_for_that() -> None:
    store = HalfBlindStore([True, True])
    write_batch(store, BATCH)
    assert read_batch(store) == BATCH
    store = HalfBlindStore([True] * 9)
    write_batch(store, BATCH)
    with pytest.raises(ConnectionError, match="nothing was submitted"):
        read_batch(store)


# An earlier try's record; then whether a try goes on: for the same wish and for another one (None: refused),
# without a clear and after one.
CONTINUES: dict[str, tuple[BatchRecord | None, bool | None, bool | None, bool | None, bool | None]] = {
    "none": (None, False, False, False, False),
    "unfinished": (BATCH, True, True, None, None),
    "collected": (replace(BATCH, collected=True), True, False, False, False),
}


@pytest.mark.parametrize(
    ("batch", "retry", "cleared", "changed", "changed_and_cleared"), CONTINUES.values(), ids=CONTINUES.keys()
)
def test_whether_a_try_goes_on(
    batch: BatchRecord | None,
    retry: bool | None,
    cleared: bool | None,
    changed: bool | None,
    changed_and_cleared: bool | None,
) -> None:
    for fingerprint, this_try, expected in (
        ("print", RETRIED, retry),
        ("print", CLEARED, cleared),
        ("other", RETRIED, changed),
        ("other", CLEARED, changed_and_cleared),
    ):
        if expected is None:
            with pytest.raises(InvalidRequestError, match=f"Change it back.*delete the key '{BATCH_KEY}'"):
                continues(batch, fingerprint, this_try)
        else:
            assert continues(batch, fingerprint, this_try) is expected
