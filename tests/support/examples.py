"""The example DAGs that users get."""

from __future__ import annotations

from pathlib import Path

import airflow_provider_bitscale
from airflow_provider_bitscale.api.config import V1_1_0

EXAMPLE_DAGS = Path(airflow_provider_bitscale.__file__).parent / "example_dags"
# No DAG of a user's has it.
EXAMPLE_CONN_ID = "bitscale_example"


def examples_left_out(contract: str) -> tuple[str, ...]:
    """Example DAGs that could only fail: those with webhooks, where the contract delivers no runs."""
    if contract == V1_1_0:
        return ()
    return tuple(
        file.stem
        for file in sorted(EXAMPLE_DAGS.glob("bitscale_*.py"))
        if "webhook" in file.read_text(encoding="utf-8")
    )
