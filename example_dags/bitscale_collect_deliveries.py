"""Starts when BitScale delivers finished runs of a grid, and writes what they found; no poll is needed."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, cast

from airflow.sdk import DAG, Context, task

from airflow_provider_bitscale.webhooks.assets import bitscale_run_asset, deliveries_from

OUTPUT = Path(os.environ.get("BITSCALE_EXAMPLE_OUTPUT", tempfile.gettempdir())) / "delivered.jsonl"

with DAG(
    "bitscale_collect_deliveries",
    schedule=bitscale_run_asset("grid_001"),
    catchup=False,
    # Each writes to the same file.
    max_active_runs=1,
    tags=["bitscale"],
    doc_md=__doc__,
):

    @task
    def write(**context: Any) -> list[str]:
        """One line for each run; the ids of the runs."""
        deliveries = deliveries_from(cast("Context", context))
        with OUTPUT.open("a") as file:
            file.writelines(json.dumps(dict(each.payload)) + "\n" for each in deliveries)
        return [each.run_id for each in deliveries]

    write()
