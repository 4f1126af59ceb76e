"""The links of a task lead to what it made, by addresses that Airflow's UI shows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_bitscale.links import BitScaleResultLink, console_url
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator
from airflow_provider_bitscale.sensors.run_completed import RunCompletedSensor
from tests.support.batches import Batch, people

TASK = SimpleNamespace(
    dag_id="leads", run_id="manual__2026-11-25T12:00:00+00:00", task_id="enrich", map_index=-1
)
XCOMS = "/dags/leads/runs/manual__2026-11-25T12%3A00%3A00%2B00%3A00/tasks/enrich/xcom"


@pytest.mark.parametrize(
    ("path", "url"),
    [
        (
            "s3://aws_default@leads/enriched/2026-11-25/b 1-manifest.json",
            "https://s3.console.aws.amazon.com/s3/object/leads?prefix=enriched/2026-11-25/b%201-manifest.json",
        ),
        ("s3://leads/m.json", "https://s3.console.aws.amazon.com/s3/object/leads?prefix=m.json"),
        ("gs://g@leads/x/m.json", "https://console.cloud.google.com/storage/browser/_details/leads/x/m.json"),
        ("file:///tmp/m.json", None),
        ("sftp://host/m.json", None),
    ],
)
def test_a_manifest_is_found_in_the_console_of_its_store(path: str, url: str | None) -> None:
    assert console_url(path) == url
    made = SimpleNamespace(manifest_path=path)
    assert BitScaleResultLink().get_link(made, ti_key=TASK) == (url or XCOMS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("map_index", "base_url", "url"),
    [
        (-1, "http://localhost:8080/", XCOMS),
        (None, "/", XCOMS),
        (3, "https://af.example.com/team/", f"/team{XCOMS.removesuffix('/xcom')}/mapped/3/xcom"),
    ],
)
def test_another_result_is_among_the_xcoms(
    map_index: int | None, base_url: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    ti = SimpleNamespace(**{**vars(TASK), "map_index": map_index})
    for made in (SimpleNamespace(), SimpleNamespace(manifest_path=None)):
        assert BitScaleResultLink().get_link(made, ti_key=ti) == url  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [RunGridOperator, RunGridBatchOperator, RunCompletedSensor])
def test_who_has_a_result_has_the_link(kind: Any) -> None:
    assert "BitScale result" in [link.name for link in kind.operator_extra_links]


@pytest.mark.parametrize("contract", ["v1.1.0"])
@pytest.mark.usefixtures("emulator")
def test_a_batch_knows_its_manifest_also_where_it_fails(tmp_path: Path, emulator: Any) -> None:
    emulator.control.add_fault("run_fails")
    batch = Batch(rows=people(1), output_path=f"file://{tmp_path}")
    manifest = batch.incomplete(Exception)
    assert batch.operator is not None
    assert batch.operator.manifest_path == manifest["manifest_path"]
