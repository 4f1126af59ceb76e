"""What a DAG file pays for importing our operator: CPU time on top of Airflow's SDK, in fresh processes.

What every operator module needs is imported first, so it is charged to nobody.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.figures import Figure, at_most
from tests.benchmarks.processes import run_json
from tests.support.processes import environment

_OURS = "airflow_provider_bitscale.operators.run_grid"
_PEERS = {
    "apache-airflow-providers-databricks": "airflow.providers.databricks.operators.databricks",
    "apache-airflow-providers-dbt-cloud": "airflow.providers.dbt.cloud.operators.dbt",
}
# What runs when a task does, or never in Airflow, must not be paid for by every parse of a DAG file.
_UNWANTED = ("aiohttp", "httpx", "requests", "starlette", "uvicorn", "airflow_provider_bitscale.emulator")
_PROGRAM = """
import importlib, json, sys, time
import airflow.sdk
from airflow.sdk import BaseHook, BaseOperator, BaseOperatorLink, BaseSensorOperator, conf
before = set(sys.modules)
start = time.process_time()
importlib.import_module(sys.argv[1])
cpu = time.process_time() - start
print(json.dumps({"cpu": cpu, "loaded": sorted(set(sys.modules) - before)}))
"""


def imports(home: Path) -> list[Figure]:
    """CPU time of the import, what it drags in, and what those of peers cost."""
    runs = _measure(home, _OURS, 11)
    milliseconds = [1e3 * run["cpu"] for run in runs]
    loaded = runs[0]["loaded"]
    unwanted = [
        name for name in loaded if any(name == bad or name.startswith(f"{bad}.") for bad in _UNWANTED)
    ]
    return [
        at_most(
            "import of the operator",
            median(milliseconds),
            25,
            unit=" ms",
            raw=f"11 runs, {min(milliseconds):.1f} to {max(milliseconds):.1f} ms; {len(loaded)} modules",
        ),
        at_most(
            "unwanted modules it loads",
            len(unwanted),
            0,
            raw=", ".join(unwanted[:5]) or f"none of {', '.join(_UNWANTED)}",
        ),
        *(_peer(home, distribution, module) for distribution, module in _PEERS.items()),
    ]


def _peer(home: Path, distribution: str, module: str) -> Figure:
    name = f"  to compare: {module.removeprefix('airflow.providers.')}"
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return Figure(name, "-", raw=f"{distribution} is not installed")
    cpu = median(run["cpu"] for run in _measure(home, module, 3))
    return Figure(name, f"{1e3 * cpu:.0f} ms", raw=f"{version}, 3 runs")


def _measure(home: Path, module: str, times: int) -> list[dict[str, Any]]:
    # The first is for the files to be compiled and in the machine's memory.
    runs = [run_json(["-c", _PROGRAM, module], environment(home), timeout=60) for _ in range(times + 1)]
    return runs[1:]
