"""The thread that a batch runs in leaves the process as it was."""

from __future__ import annotations

import gc
from contextlib import nullcontext

import pytest

from airflow_provider_bitscale.operators.batch_thread import run_in_thread


@pytest.mark.parametrize("problem", [None, ValueError("the batch is aborted")])
def test_cycles_are_looked_for_less_often_while_it_runs(problem: Exception | None) -> None:
    before, seen = gc.get_threshold(), []

    async def drive() -> None:
        seen.append(gc.get_threshold()[0])
        if problem is not None:
            raise problem

    with nullcontext() if problem is None else pytest.raises(ValueError, match="aborted"):
        run_in_thread(drive, lambda: None)
    assert seen[0] > before[0]
    assert gc.get_threshold() == before
