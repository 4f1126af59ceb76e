"""A triggerer: one event loop, which runs the triggers that it is told of for as long as it is told.

Run as ``python -m tests.benchmarks.deployment_triggerer``: reads a trigger a line, as JSON, until its input
ends. Prints a line when it is up, and at last one of JSON: number, outcome and time of each event.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

# A triggerer has it loaded before any trigger runs.
import airflow.sdk.execution_time.supervisor  # noqa: F401

import airflow_provider_bitscale.triggers.run_completed  # noqa: F401
from tests.support.task_runs import trigger_of


async def _event(told: dict[str, Any]) -> dict[str, Any]:
    trigger = trigger_of(*told["trigger"])
    async for event in trigger.run():
        return {"number": told["number"], "outcome": event.payload["outcome"], "fired_at": time.time()}
    raise RuntimeError(f"the trigger of task {told['number']} ended without an event")


async def _run() -> list[dict[str, Any]]:
    loop = asyncio.get_running_loop()
    running = []
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        running.append(asyncio.create_task(_event(json.loads(line))))
    return list(await asyncio.gather(*running))


def main() -> None:
    """Run what is told, and print the events."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as told:
        # Airflow writes its log there.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        print("ready", file=told, flush=True)
        print(json.dumps(asyncio.run(_run())), file=told)


if __name__ == "__main__":
    main()
