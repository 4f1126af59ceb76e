"""A table too large for one worker: chunks of it, mapped over whatever workers there are.

Each chunk is a batch of its own. They do not know of each other, and share the rate limit all the same:
each paces itself by what BitScale's headers tell.
"""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator

LEADS = Path(__file__).parent / "data" / "leads.csv"
CHUNK = 4

with DAG(
    "bitscale_enrich_chunks",
    schedule=None,
    default_args={"bitscale_conn_id": "bitscale_example"},
    tags=["bitscale"],
    doc_md=__doc__,
):

    @task
    def chunks() -> list[list[dict[str, str]]]:
        """Return the leads, a few at a time."""
        with LEADS.open(newline="", encoding="utf-8") as file:
            leads = [{"Full Name": row["name"], "Company": row["company"]} for row in csv.DictReader(file)]
        return [leads[start : start + CHUNK] for start in range(0, len(leads), CHUNK)]

    @task
    def report(manifests: list[dict[str, Any]]) -> str:
        """Say what all chunks gave, and what they cost."""
        found = sum(manifest["counts"]["succeeded"] for manifest in manifests)
        if without_cost := sum(manifest["runs_without_credits"] for manifest in manifests):
            return f"{found} leads, {without_cost} runs did not tell what they cost"
        return f"{found} leads, {sum(manifest['credits'] for manifest in manifests)} credits"

    enrich = RunGridBatchOperator.partial(
        task_id="enrich",
        grid_id="grid_001",
        output_columns=["Enriched Email"],
        max_active_tis_per_dag=2,
        map_index_template="{{ task.rows[0]['Company'] }} and {{ task.rows | length - 1 }} more",
        retries=3,
        retry_delay=timedelta(seconds=10),
    ).expand(rows=chunks())
    report(enrich.output)
