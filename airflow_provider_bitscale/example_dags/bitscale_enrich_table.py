"""A whole table in one task: a file in, parts out, and one downstream task for each part.

The paths may be on any store that Airflow knows: ``s3://my_aws_conn@bucket/leads.csv``.
"""

from __future__ import annotations

import json
import os
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator

LEADS = Path(__file__).parent / "data" / "leads.csv"
OUTPUT = Path(os.environ.get("BITSCALE_EXAMPLE_OUTPUT", tempfile.gettempdir())) / "enriched"

with DAG(
    "bitscale_enrich_table",
    schedule=None,
    default_args={"bitscale_conn_id": "bitscale_example"},
    tags=["bitscale"],
    doc_md=__doc__,
):

    @task
    def parts(manifest: dict[str, Any]) -> list[str]:
        """Return the files to load; only if it is known of all rows what has become of them."""
        if manifest["stopped_by"] or manifest["counts"]["unknown"]:
            raise ValueError(f"not all rows were run: {manifest['counts']}, {manifest['stopped_by']}")
        paths: list[str] = manifest["parts"]
        return paths

    @task(map_index_template="{{ task.op_kwargs['part'].rpartition('/')[2] }}")
    def load(part: str) -> int:
        """Where a warehouse would load the part: here, the emails in it are counted."""
        rows = [json.loads(line) for line in ObjectStoragePath(part).read_text().split("\n") if line]
        return sum(row["_status"] == "succeeded" and bool(row["Enriched Email"]) for row in rows)

    enrich = RunGridBatchOperator(
        task_id="enrich",
        grid_id="grid_001",
        rows_path=LEADS.as_uri(),
        input_fields={"Full Name": "name", "Company": "company"},
        output_columns=["Enriched Email", "LinkedIn URL"],
        output_path=OUTPUT.as_uri(),
        row_key=["name", "company"],
        max_failed_rows="10%",
        segment_size=4,
        retries=3,
        retry_delay=timedelta(seconds=10),
    )
    load.expand(part=parts(enrich.output))
