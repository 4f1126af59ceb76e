"""Which row a run is of."""

from __future__ import annotations

from airflow_provider_bitscale.batch.run_ids import RunIds


def test_a_run_is_of_one_row() -> None:
    run_ids = RunIds()
    assert run_ids.claim("run_1", 7) is None
    assert run_ids.claim("run_2", 8) is None
    assert run_ids.claim("run_1", 7) is None, "the same row may be told again"
    assert run_ids.claim("run_3", 7) is None, "a row may have more than one run"
    assert run_ids.claim("run_1", 8) == 7
