"""What importing a module brings along: seen from a process that has imported nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

CLIENTS = {"requests", "aiohttp"}
SERVERS = {"starlette", "uvicorn", "airflow_provider_bitscale.emulator"}
# In one process, as they may all bring along the same: Airflow takes its time.
PARSED_WITH_DAGS = [
    "airflow_provider_bitscale.operators.run_grid",
    "airflow_provider_bitscale.sensors.run_completed",
    "airflow_provider_bitscale.sensors.credits",
]


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        ("airflow_provider_bitscale", {"airflow", "airflow_provider_bitscale.api"} | CLIENTS | SERVERS),
        ("airflow_provider_bitscale.api", {"airflow"} | CLIENTS | SERVERS),
        ("airflow_provider_bitscale.api.client", {"airflow", "aiohttp"} | SERVERS),
        ("airflow_provider_bitscale.api.async_client", {"airflow"} | SERVERS),
        (", ".join(PARSED_WITH_DAGS), CLIENTS | SERVERS),
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
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
