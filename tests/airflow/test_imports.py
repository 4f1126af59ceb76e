"""What importing a module brings along: seen from a process that has imported nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

CLIENTS = {"requests", "aiohttp"}
SERVERS = {"starlette", "uvicorn", "airflow_provider_bitscale.emulator"}
# What may be loaded of this package with each module that a DAG file imports. Whatever else a task needs, it
# loads when it runs: a DAG file is parsed every half a minute.
_ERRORS = {"api", "api.carriable", "api.errors"}
_OPTIONS = _ERRORS | {
    "api.blank", "exceptions", "operators", "operators.hook_mixin", "operators.rendered",
    "runs", "runs.options", "runs.request", "runs.undefined",
}  # fmt: skip
_ASSETS = _ERRORS | {"runs", "runs.outcome", "webhooks", "webhooks.assets"}
_SENSOR = _OPTIONS | {"deferral", "runs.outcome", "sensors", "sensors.outcome"}
PARSED = {
    "operators.run_grid": _OPTIONS | _ASSETS | {"links", "operators.run_grid", "webhooks.submission_events"},
    "operators.run_grid_batch": _OPTIONS
    | {"batch", "batch.options", "batch.table", "batch.table.storage", "links", "operators.run_grid_batch"},
    "sensors.run_completed": _SENSOR | {"links", "sensors.run_completed"},
    "sensors.credits": _SENSOR | {"sensors.credits"},
    "webhooks.assets": _ASSETS,
}
HEAVY = (
    CLIENTS | SERVERS | {"yarl", "urllib3", "fastapi", "sqlalchemy", "pandas", "pyarrow", "airflow.models"}
)
PACKAGE = "airflow_provider_bitscale"


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        ("airflow_provider_bitscale", {"airflow", "airflow_provider_bitscale.api"} | CLIENTS | SERVERS),
        ("airflow_provider_bitscale.api", {"airflow"} | CLIENTS | SERVERS),
        ("airflow_provider_bitscale.api.client", {"airflow", "aiohttp"} | SERVERS),
        ("airflow_provider_bitscale.api.async_client", {"airflow"} | SERVERS),
        ("airflow_provider_bitscale.operators.collect_undelivered", CLIENTS | SERVERS),
        ("airflow_provider_bitscale.triggers.run_completed", {"requests"} | SERVERS),
        ("airflow_provider_bitscale.emulator", {"airflow", "airflow_provider_bitscale.api"} | CLIENTS),
    ],
)
def test_a_module_brings_along_no_more_than_it_needs(modules: str, forbidden: set[str]) -> None:
    program = f"""
import sys
import {modules}
print(*sorted({forbidden!r} & set(sys.modules)))
"""
    assert printed(program) == []


@pytest.mark.parametrize("module", PARSED)
def test_a_dag_file_that_is_parsed_loads_these_and_no_others(module: str) -> None:
    program = f"""
import sys
from airflow.sdk import Asset, AssetAlias, BaseHook, BaseOperator, BaseOperatorLink, BaseSensorOperator, conf
before = set(sys.modules)
import {PACKAGE}.{module}
print(*sorted(set(sys.modules) - before))
"""
    loaded = set(printed(program))
    ours = {name for name in loaded if name.partition(".")[0] == PACKAGE}
    assert ours - {PACKAGE} == {f"{PACKAGE}.{name}" for name in PARSED[module]}
    assert {name for name in loaded if any(f"{name}.".startswith(f"{heavy}.") for heavy in HEAVY)} == set()


def printed(program: str) -> list[str]:
    """The words that a process prints which has imported nothing else."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
