"""One limit for a whole deployment: task instances in fresh processes, an emulator in another one.

Each task is a process of its own, forked as Airflow forks it, and submits one row whose run takes 2 to 10 s.
The time they take is compared with an oracle's, see :mod:`tests.benchmarks.deployment_oracle`. Where answers
tell of no limit, that has the pace which this provider books, 4.75 of 5 requests a second; how it would fare
at exactly 5 stands beside. What was measured before processes shared anything stands beside, too.
"""

from __future__ import annotations

from pathlib import Path

from airflow_provider_bitscale.api.limit.pace import Pace
from tests.benchmarks.deployment_oracle import Limit
from tests.benchmarks.deployment_runs import UNTOLD, UNTOLD_OPTIONS, Deployed, deploy, told
from tests.benchmarks.figures import Figure, at_least, at_most

_EXACTLY_THE_LIMIT = Pace(0.2, 0.0)
_TIME = 1.15


def mapped(home: Path) -> list[Figure]:
    """60 mapped rows in a worker's processes, 16 and 32 at a time."""
    return [
        figure
        for at_once, today in ((16, "40 %, 7.9 a row"), (32, "50 %, 9.3 a row"))
        for figure in figures(
            f"mapped, {at_once} at a time",
            deploy(home / f"mapped {at_once}", UNTOLD, UNTOLD_OPTIONS, 60, at_once),
            refused=0.01,
            per_row=2.4,
            today=today,
        )
    ]


def long_mapped(home: Path) -> list[Figure]:
    """600 mapped rows: how the limit is used while there is always work."""
    return [
        figure
        for at_once in (16, 32)
        for figure in _steady(
            f"600 mapped, {at_once} at a time",
            deploy(home / f"long {at_once}", UNTOLD, UNTOLD_OPTIONS, 600, at_once),
        )
    ]


def deferred(home: Path) -> list[Figure]:
    """60 rows that are submitted by a worker's processes, and waited for by one triggerer."""
    measured = deploy(home / "deferred", UNTOLD, UNTOLD_OPTIONS, 60, 16, deferrable=True)
    return figures("deferred, 16 at a time", measured, refused=0.005, per_row=2.4, today="45 %, 7.3 a row")


def with_headers(home: Path) -> list[Figure]:
    """60 rows under 300 a minute, of which headers tell."""
    measured = _told(home / "headers", 300, 60, 16)
    return figures("300 a minute, told", measured, refused=0, per_row=2.6, time=None, today="0, 4.3 a row")


def with_scarce_headers(home: Path) -> list[Figure]:
    """50 rows under 60 a minute, of which headers tell, in 32 processes at a time."""
    measured = _told(home / "scarce headers", 60, 50, 32)
    return figures("60 a minute, told", measured, refused=0.01, per_row=2.6, today="23 %, 5.0 a row")


def figures(
    name: str,
    measured: Deployed,
    *,
    refused: float,
    per_row: float,
    time: float | None = _TIME,
    today: str,
) -> list[Figure]:
    """Refusals, requests and time of a deployment.

    :param time: most of an oracle's that it may take; None for any.
    :param today: what it was before processes shared anything.
    """
    foreseen = measured.foreseen()
    makespan = foreseen.ended_at - measured.started_at
    beside = f"{measured.makespan:.1f} s; the oracle {makespan:.1f} s, {len(foreseen.sent)} requests"
    if foreseen.refused:
        beside += f", {foreseen.refused} refused"
    if measured.limit is UNTOLD:
        exact = measured.foreseen(_EXACTLY_THE_LIMIT).ended_at - measured.started_at
        beside += f"; {measured.makespan / exact:.3f} x one at exactly the limit"
    if measured.limit.seconds > 1:
        beside += f"; begun {measured.started_at % measured.limit.seconds:.0f} s into a window"
    ratio = measured.makespan / makespan
    return [
        at_most(
            f"{name}: share refused",
            100 * measured.share_refused,
            100 * refused,
            unit=" %",
            raw=f"{measured.wire.refused} of {len(measured.wire.exchanges)}; once {today}",
        ),
        at_most(f"{name}: requests a row", measured.requests_per_row, per_row, raw=measured.endpoints),
        Figure(f"{name}: time / oracle", f"{ratio:.3f}", raw=beside)
        if time is None
        else at_most(f"{name}: time / oracle", ratio, time, raw=beside),
        Figure(
            f"{name}: share of the limit",
            f"{100 * measured.share_used:.0f} %",
            raw=f"{len(measured.served)} served; start-up {_start_up(measured)}",
        ),
    ]


def _told(home: Path, requests: int, rows: int, at_once: int) -> Deployed:
    limit, options = told(requests, 60)
    return deploy(home, limit, options, rows, at_once)


def _steady(name: str, measured: Deployed) -> list[Figure]:
    foreseen = measured.foreseen()
    ours, its = (_middle_share(sent, measured.limit) for sent in (measured.served, foreseen.sent))
    return [
        *figures(name, measured, refused=0.01, per_row=2.4, today="not measured"),
        at_least(
            f"{name}: share of the limit, middle half",
            100 * ours,
            min(90.0, 100 * its),
            unit=" %",
            raw=f"the oracle {100 * its:.1f} %",
        ),
    ]


def _middle_share(times: list[float], limit: Limit) -> float:
    """Share of the limit that is used in the middle half of the time."""
    first, last = min(times), max(times)
    quarter = (last - first) / 4
    used = sum(first + quarter <= at < last - quarter for at in times)
    return used / (2 * quarter) / limit.per_second


def _start_up(measured: Deployed) -> str:
    seconds = sorted(task["booked_at"] - task["forked_at"] for group in measured.tasks for task in group)
    return f"{seconds[0]:.2f} to {seconds[-1]:.2f} s, median {seconds[len(seconds) // 2]:.2f} s"
