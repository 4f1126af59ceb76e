"""How soon a finished run is noticed: from the moment its server calls it completed to the trigger's event.

200 triggers; the runs end at moments drawn at random over four poll intervals. Server and triggers share one
clock.
"""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.beats import percentile
from tests.benchmarks.figures import Figure, at_most
from tests.benchmarks.processes import poll_server, run_json
from tests.support.processes import environment

_WAITS = 200
_INTERVAL = 2.0


def latency(home: Path) -> list[Figure]:
    """Latency as a share of the poll interval."""
    arguments = ["-m", "tests.benchmarks.load", "ours"]
    with poll_server(home) as server:
        measured = run_json(
            [
                *arguments,
                server.origin,
                str(_WAITS),
                str(_INTERVAL),
                "--measure",
                "end",
                "--until",
                "2",
                "10",
            ],
            environment(home),
            timeout=60,
        )
    late = [seconds / _INTERVAL for seconds in measured["late"]]
    raw = f"p50 {percentile(late, 0.5):.2f}, p99 {percentile(late, 0.99):.2f} of {_INTERVAL:g} s"
    return [at_most("completion to event, longest / poll interval", max(late), 1.1, raw=raw)]
