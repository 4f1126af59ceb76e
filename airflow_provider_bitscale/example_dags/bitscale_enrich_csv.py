"""A CSV file: check the credits, run the grid for each lead, wait in the triggerer, write the enriched file.

At most four leads are submitted at a time, and any number may wait. The rate limit is kept without it, too.
"""

from __future__ import annotations

import csv
import os
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.sensors.credits import CreditsSensor

LEADS = Path(__file__).parent / "data" / "leads.csv"
OUTPUT = Path(os.environ.get("BITSCALE_EXAMPLE_OUTPUT", tempfile.gettempdir())) / "enriched_leads.csv"
FOUND = ["Enriched Email", "LinkedIn URL"]

with DAG(
    "bitscale_enrich_csv",
    schedule=None,
    default_args={"bitscale_conn_id": "bitscale_example"},
    tags=["bitscale"],
    doc_md=__doc__,
):

    @task
    def read_leads() -> list[dict[str, str]]:
        """One dict of inputs for each lead."""
        with LEADS.open(newline="", encoding="utf-8") as file:
            return [{"Full Name": row["name"], "Company": row["company"]} for row in csv.DictReader(file)]

    @task
    def write_enriched(leads: list[dict[str, str]], results: list[dict[str, Any]]) -> str:
        """Write the leads with what was found, and what each cost."""
        with OUTPUT.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=["Full Name", "Company", *FOUND, "Credits"])
            writer.writeheader()
            for lead, result in zip(leads, results, strict=True):
                credits = result["credits"] or {}
                writer.writerow({**lead, **result["outputs"], "Credits": credits.get("consumed")})
        return str(OUTPUT)

    leads = read_leads()
    enough_credits = CreditsSensor(
        task_id="enough_credits", min_credits=200, poke_interval=60, timeout=600, deferrable=True
    )
    enrich = RunGridOperator.partial(
        task_id="enrich",
        grid_id="grid_001",
        output_columns=FOUND,
        deferrable=True,
        poll_interval=2,
        max_active_tis_per_dag=4,
        # Airflow shows it in place of the number of a mapped task: a field that everybody may see.
        map_index_template="{{ task.inputs['Company'] }}",
        retries=2,
        retry_delay=timedelta(seconds=10),
    ).expand(inputs=leads)

    enough_credits >> enrich
    write_enriched(leads, enrich.output)
