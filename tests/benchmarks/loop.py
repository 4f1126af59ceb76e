"""What 1,000 of our waits do to the event loop that they share with all other triggers, cold start included.

A heartbeat runs in the same loop. How late it is on the wall decides, as that is what others would feel; the
CPU time between two beats, and the lateness of an idle loop in a process beside, tell how much of it is the
machine's doing. Medians of three fresh processes.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.cpu import INTERVAL, WAITS
from tests.benchmarks.figures import Figure, at_most
from tests.benchmarks.processes import Server, poll_server, process, run_json
from tests.support.processes import environment

_ROUNDS = 3
_TIMEOUT = 180


def stalls_and_memory(home: Path) -> list[Figure]:
    """Stalls, sessions, connections and memory of 1,000 waits."""
    rounds = [_beating(home) for _ in range(_ROUNDS)]
    middle = {name: median(each[name] for each in rounds) for name in rounds[0]}
    preempted = f"preempted {middle['preempted']:.0f} times"
    with poll_server(home) as server:
        memory = _load(home, server, "memory")
    allocated, grown = (memory[name] / WAITS / 1000 for name in ("allocated", "grown"))
    return [
        at_most(
            "event loop lateness, p99", 1e3 * middle["late_p99"], 20, unit=" ms", raw=_raw(middle, "p99")
        ),
        at_most(
            "event loop lateness, longest",
            1e3 * middle["late_max"],
            100,
            unit=" ms",
            raw=f"{_raw(middle, 'max')}; {preempted}",
        ),
        at_most("HTTP sessions of 1,000 triggers", memory["sessions"], 1),
        at_most(
            "connections open at once",
            max(each["most_open"] for each in rounds),
            64,
            raw="counted by the server",
        ),
        at_most(
            "memory of a waiting trigger",
            allocated,
            15,
            unit=" kB",
            raw=f"tracemalloc; the process grew by {grown:.1f} kB a trigger at its peak",
        ),
    ]


def _raw(middle: dict[str, float], which: str) -> str:
    busy, idle = 1e3 * middle[f"busy_{which}"], 1e3 * middle[f"idle_late_{which}"]
    return f"CPU between beats {busy:.1f} ms; an idle loop beside was late by {idle:.1f} ms"


def _beating(home: Path) -> dict[str, float]:
    with poll_server(home) as server, process(["-m", "tests.benchmarks.beats"], environment(home)) as idle:
        assert idle.stdin is not None
        assert idle.stdout is not None
        measured: dict[str, float] = _load(home, server, "stalls")
        idle.stdin.close()
        beside = json.loads(idle.stdout.readline())
        return {
            **measured,
            **{f"idle_{name}": value for name, value in beside.items()},
            "most_open": server.stats()["most_open"],
        }


def _load(home: Path, server: Server, what: str) -> Any:
    arguments = ["-m", "tests.benchmarks.load", "ours", server.origin, str(WAITS), str(INTERVAL)]
    return run_json([*arguments, "--measure", what], environment(home), timeout=_TIMEOUT)
