"""Starts when BitScale delivers finished runs of a grid, and writes what they found; no poll is needed.

Whoever submitted them: those of ``bitscale_enrich_with_webhook``, too. Runs that failed are another asset.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, cast

from airflow.sdk import DAG, Context, task

from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.webhooks.assets import bitscale_run_asset, deliveries_from

CONNECTION = "bitscale_example"
OUTPUT = Path(os.environ.get("BITSCALE_EXAMPLE_OUTPUT", tempfile.gettempdir())) / "delivered.jsonl"

with DAG(
    "bitscale_collect_deliveries",
    schedule=bitscale_run_asset("grid_001", bitscale_conn_id=CONNECTION),
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
        names = {column.id: column.name for column in BitScaleHook(CONNECTION).get_grid("grid_001").columns}
        with OUTPUT.open("a") as file:
            for each in deliveries:
                found = {names.get(key, key): value for key, value in (each.run.outputs or {}).items()}
                file.write(json.dumps({"run_id": each.run_id, **found}) + "\n")
        return [each.run_id for each in deliveries]

    write()
