"""What one poll costs: CPU time of 1,000 waits in one event loop, beside a bare loop and beside peers.

All contenders wait for the same number of runs of five polls each, one poll a second, on the same server in
another process. They take turns, each turn in a fresh process, and the ratio is the median over the rounds:
a machine that is slow for a while is slow for both. The divisor is the number of polls that the server has
answered, so a peer that asks once more at the end is not charged for it. Log lines below WARNING are off,
which spares those who write one for each poll.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from statistics import median

from tests.benchmarks.figures import Figure, at_most, skipped
from tests.benchmarks.processes import poll_server, run_json
from tests.support.certificates import self_signed
from tests.support.processes import environment

WAITS = 1_000
INTERVAL = 1
_TIMEOUT = 180
_PEER_ROUNDS = 3


def beside_bare_loop(home: Path) -> list[Figure]:
    """Ours against a loop written by hand around one aiohttp session."""
    return [_ratio("CPU a poll / bare aiohttp loop", home, "bare", 1.3, rounds=5)]


def beside_peers(home: Path) -> list[Figure]:
    """Ours against the triggers of Databricks (plain HTTP) and of dbt Cloud (both over TLS).

    TLS costs any aiohttp client more, so the bare loop is measured over it too, as the floor.
    """
    certificate = self_signed(home)
    bare = median(cpu_of_a_poll(home, "bare", certificate) for _ in range(_PEER_ROUNDS))
    return [
        _beside_peer(home, "databricks", "apache-airflow-providers-databricks", 1 / 2),
        _beside_peer(home, "dbt_cloud", "apache-airflow-providers-dbt-cloud", 1 / 8, certificate),
        Figure("  to compare: bare aiohttp loop, TLS", f"{1e6 * bare:.0f} us", raw="CPU a poll"),
    ]


def _beside_peer(
    home: Path, waiter: str, distribution: str, limit: float, certificate: Path | None = None
) -> Figure:
    name = f"CPU a poll / {waiter} trigger" + (", TLS" if certificate else "")
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return skipped(name, f"<= {limit:.3g}", f"{distribution} is not installed")
    return _ratio(f"{name} {version}", home, waiter, limit, rounds=_PEER_ROUNDS, certificate=certificate)


def _ratio(
    name: str, home: Path, other: str, limit: float, *, rounds: int, certificate: Path | None = None
) -> Figure:
    turns = [
        (cpu_of_a_poll(home, "ours", certificate), cpu_of_a_poll(home, other, certificate))
        for _ in range(rounds)
    ]
    ratios = [ours / theirs for ours, theirs in turns]
    ours, theirs = (median(side) * 1e6 for side in zip(*turns, strict=True))
    raw = (
        f"{ours:.0f} / {theirs:.0f} us a poll; {rounds} rounds, ratios {min(ratios):.2f} to {max(ratios):.2f}"
    )
    return at_most(name, median(ratios), limit, raw=raw)


def cpu_of_a_poll(home: Path, waiter: str, certificate: Path | None) -> float:
    """CPU seconds of one poll, with 1,000 waiting."""
    trust = {"SSL_CERT_FILE": str(certificate)} if certificate else {}
    with poll_server(home, certificate) as server:
        measured = run_json(
            ["-m", "tests.benchmarks.load", waiter, server.origin, str(WAITS), str(INTERVAL)],
            environment(home, trust),
            timeout=_TIMEOUT,
        )
        cpu: float = measured["cpu"]
        return cpu / server.stats()["polls"]
