"""A store that is away for a while loses nothing, and is asked less and less often."""

from __future__ import annotations

import time

import pytest

from airflow_provider_bitscale.runs.state_store import DurableWrite, OwnerChangedError


class Store:
    """Raises these errors, one at each write."""

    def __init__(self, *problems: Exception) -> None:
        self.problems = list(problems)
        self.writes = 0

    def write(self) -> None:
        self.writes += 1
        if self.problems:
            raise self.problems.pop(0)


def test_one_attempt_tells_whether_it_was_taken_and_when_another_is_of_use() -> None:
    store = Store(OSError("away"), OSError("away"))
    write = DurableWrite(store.write)
    assert write.next_at == 0.0
    for pause in (1.0, 2.0):
        began = time.time()
        assert not write.attempt()
        assert began + pause <= write.next_at <= time.time() + pause
    assert write.attempt()
    assert store.writes == 3


def test_pauses_grow_to_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    write = DurableWrite(Store(*[OSError("away")] * 8).write)
    pauses = [write.next_at for _ in range(8) if not write.attempt()]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_it_is_repeated_until_it_is_taken() -> None:
    store = Store(OSError("away"))
    DurableWrite(store.write).persist(5)
    assert store.writes == 2


def test_patience_ends_with_the_last_problem() -> None:
    store = Store(OSError("first"), OSError("second"))
    with pytest.raises(OSError, match="second"):
        DurableWrite(store.write).persist(1.5)
    assert store.writes == 2


def test_a_store_that_is_closed_to_this_try_is_asked_once() -> None:
    for act in (DurableWrite.attempt, lambda write: write.persist(60)):
        store = Store(OwnerChangedError("cleared"))
        with pytest.raises(OwnerChangedError):
            act(DurableWrite(store.write))
        assert store.writes == 1
