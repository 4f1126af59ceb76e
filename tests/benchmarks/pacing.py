"""1,000 triggers under a limit of 60 requests a second, which the emulator imposes in another process.

Each would poll once a second, so more than ten times too much is asked for. Measured from the emulator's
record of the wire: polls refused once the limit is known, how much of the limit is used while more than
enough triggers wait, and whether any of them is forgotten: fair is that each is served once in
(waiting / limit) seconds.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from airflow_provider_bitscale.api import Client, ClientConfig
from airflow_provider_bitscale.emulator import EmulatorControl
from airflow_provider_bitscale.emulator.seed import API_KEY, COMPANY, FULL_NAME, GRID_ID, WORKSPACE_ID
from tests.benchmarks.cpu import INTERVAL, WAITS
from tests.benchmarks.figures import Figure, at_least, at_most
from tests.benchmarks.processes import ProcessFailedError, process, run_json
from tests.support.processes import environment

_LIMIT = 60
# Submitting takes WAITS / _LIMIT seconds; no run may end before the last has been submitted.
_RUN_SECONDS = ("25", "40")
_LEARNING_SECONDS = 2.0
_INPUTS = {FULL_NAME: "Ada Lovelace", COMPANY: "Analytical Engines"}
_STILL_MORE_THAN_ENOUGH = 100
_TIMEOUT = 180
_LOAD = ("-m", "tests.benchmarks.load", "ours")


def pacing(home: Path) -> list[Figure]:
    """Refusals, use of the limit, and fairness."""
    arguments = ["--port", "0", "--rate-limit", f"{_LIMIT}/1", "--run-seconds", *_RUN_SECONDS]
    with process(["-m", "airflow_provider_bitscale.emulator", *arguments], environment(home)) as emulator:
        assert emulator.stdout is not None
        origin = emulator.stdout.readline().strip().rpartition(" ")[2].removesuffix("/api/v1")
        if not origin.startswith("http://127.0.0.1:"):
            raise ProcessFailedError("the emulator did not start")
        run_ids = _submit(origin)
        path = home / "run_ids.json"
        path.write_text(json.dumps(run_ids))
        run_json(
            [*_LOAD, origin, str(WAITS), str(INTERVAL), "--measure", "end", "--runs", str(path)],
            environment(home),
            timeout=_TIMEOUT,
        )
        exchanges = EmulatorControl(origin).requests()
    polls = [(each["at"], each["path"], each["status"]) for each in exchanges if each["method"] == "GET"]
    return _figures(polls)


def _submit(origin: str) -> list[str]:
    """Start the runs as anybody would, within the limit."""
    config = ClientConfig(API_KEY, WORKSPACE_ID, base_url=f"{origin}/api/v1")
    with Client(config) as client:
        runs = [client.run_grid(GRID_ID, _INPUTS) for _ in range(WAITS)]
    return [str(run.run_id) for run in runs]


def _figures(polls: Sequence[tuple[float, str, int]]) -> list[Figure]:
    start = polls[0][0]
    refused = [at - start for at, _, status in polls if status == 429]
    served: dict[str, list[float]] = defaultdict(list)
    for at, path, status in polls:
        if status == 200:
            served[path].append(at)
    ends = sorted(times[-1] for times in served.values())
    crowded_until = ends[-_STILL_MORE_THAN_ENOUGH]
    crowded_from = start + _LEARNING_SECONDS
    used = sum(crowded_from <= at < crowded_until for times in served.values() for at in times)
    gaps = [later - at for times in served.values() for at, later in pairwise([start, *times])]
    fair = WAITS / _LIMIT
    late_refusals = sum(at > _LEARNING_SECONDS for at in refused)
    return [
        at_most(
            "polls refused (429) once the limit is known",
            late_refusals,
            0,
            raw=f"{len(refused)} of {len(polls)} polls; {WAITS / INTERVAL / _LIMIT:.0f} times the limit",
        ),
        at_least(
            "share of the limit used",
            used / (crowded_until - crowded_from) / _LIMIT,
            0.9,
            raw=f"{used} polls in {crowded_until - crowded_from:.0f} s, {_STILL_MORE_THAN_ENOUGH} or more",
        ),
        at_most(
            "longest time without a poll / fair share",
            max(gaps) / fair,
            1.25,
            raw=f"{max(gaps):.1f} s; fair is {WAITS} / {_LIMIT} = {fair:.1f} s",
        ),
        at_least("triggers that noticed the end of their run", len(served), WAITS),
    ]
