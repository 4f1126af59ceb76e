"""What a DAG file pays for importing what it uses of ours: CPU on top of Airflow's SDK, in new processes.

What every operator module needs is imported first, and does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.figures import Figure, at_most
from tests.benchmarks.processes import run_json
from tests.support.processes import environment

_ROUNDS = 7
_OURS = (
    "airflow_provider_bitscale.operators.run_grid",
    "airflow_provider_bitscale.operators.run_grid_batch",
    "airflow_provider_bitscale.sensors.run_completed",
    "airflow_provider_bitscale.sensors.credits",
    "airflow_provider_bitscale.webhooks.assets",
)
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
sdk = time.process_time()
importlib.import_module(sys.argv[1])
cpu = time.process_time() - sdk
print(json.dumps({"cpu": cpu, "sdk": sdk, "loaded": sorted(set(sys.modules) - before)}))
"""


def imports(home: Path) -> list[Figure]:
    """CPU time of each import, what they drag in, and what those of peers cost."""
    # In turns, so that a machine that is slow for a while is slow for all.
    rounds = [[_import(home, module) for module in _OURS] for _ in range(_ROUNDS + 1)][1:]
    runs = dict(zip(_OURS, zip(*rounds, strict=True), strict=True))
    loaded = {name for each in runs.values() for name in each[0]["loaded"]}
    unwanted = sorted(
        name for name in loaded if any(name == bad or name.startswith(f"{bad}.") for bad in _UNWANTED)
    )
    return [
        *(_cost(module, each) for module, each in runs.items()),
        at_most(
            "unwanted modules they load",
            len(unwanted),
            0,
            raw=", ".join(unwanted[:5]) or f"none of {', '.join(_UNWANTED)}",
        ),
        *(_peer(home, distribution, module) for distribution, module in _PEERS.items()),
    ]


def _cost(module: str, runs: Sequence[dict[str, Any]]) -> Figure:
    milliseconds = [1e3 * run["cpu"] for run in runs]
    share = median(run["cpu"] / run["sdk"] for run in runs)
    return at_most(
        f"import of {module.removeprefix('airflow_provider_bitscale.')}",
        median(milliseconds),
        25,
        unit=" ms",
        raw=f"{100 * share:.1f} % of airflow.sdk; {_ROUNDS} runs, {min(milliseconds):.1f} to "
        f"{max(milliseconds):.1f} ms; {len(runs[0]['loaded'])} modules",
    )


def _peer(home: Path, distribution: str, module: str) -> Figure:
    name = f"  to compare: {module.removeprefix('airflow.providers.')}"
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return Figure(name, "-", raw=f"{distribution} is not installed")
    # The first is for the files to be compiled and in the machine's memory.
    runs = [_import(home, module) for _ in range(4)][1:]
    cpu = median(run["cpu"] for run in runs)
    return Figure(name, f"{1e3 * cpu:.0f} ms", raw=f"{version}, {len(runs)} runs")


def _import(home: Path, module: str) -> dict[str, Any]:
    run: dict[str, Any] = run_json(["-c", _PROGRAM, module], environment(home), timeout=60)
    return run
