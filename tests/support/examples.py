"""The example DAGs that users get."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_bitscale.api.config import V1_1_0

EXAMPLE_DAGS = Path(__file__).parents[2] / "example_dags"


def examples_left_out(contract: str) -> tuple[str, ...]:
    """Example DAGs that could only fail: those with webhooks, where the contract delivers no runs."""
    if contract == V1_1_0:
        return ()
    return tuple(
        file.stem
        for file in sorted(EXAMPLE_DAGS.glob("*.py"))
        if "webhook" in file.read_text(encoding="utf-8")
    )
