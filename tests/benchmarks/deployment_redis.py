"""A deployment over several machines, which share a Redis: no file, and now and then no Redis."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from airflow_provider_bitscale.emulator import EmulatorControl
from tests.benchmarks.batch_runs import Emulator, emulator
from tests.benchmarks.deployment import figures
from tests.benchmarks.deployment_runs import UNTOLD, UNTOLD_OPTIONS, deploy_groups, run_tasks, seen
from tests.benchmarks.figures import Figure, at_most, skipped
from tests.support.redis import Redis
from tests.support.waiting import wait_until

_ROWS = 120
_AT_ONCE = 16
_AWAY_SECONDS = 10.0
# A process asks again at the latest ten times as long after a question as that took, which is half a second.
_BACK_SECONDS = 5.0
_MACHINES = 2


def two_machines(home: Path) -> list[Figure]:
    """60 mapped rows in two groups of processes, 16 and 32 at a time in all."""
    if reason := Redis.missing_reason():
        return [skipped("two machines", "<= 1 % refused", reason)]
    measured = []
    for at_once, today in ((16, "40 %, 7.9 a row"), (32, "50 %, 9.3 a row")):
        with Redis() as redis:
            folder = home / f"machines {at_once}"
            deployed = deploy_groups(folder, 60 // _MACHINES, at_once // _MACHINES, _MACHINES, _by(redis))
            name = f"two machines, {at_once} at a time"
            measured += figures(name, deployed, refused=0.01, per_row=2.4, today=today)
    return measured


def without_redis(home: Path) -> list[Figure]:
    """120 mapped rows, and a Redis that dies for ten seconds once half of them were submitted."""
    if reason := Redis.missing_reason():
        return [skipped("Redis killed for 10 s", "429s only meanwhile", reason)]
    home = home / "without redis"
    home.mkdir()
    with (
        Redis() as redis,
        emulator(home, *UNTOLD_OPTIONS) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        running = pool.submit(run_tasks, server, home / "tasks", _ROWS, _AT_ONCE, more=_by(redis))
        died_at, back_at = _die_for_a_while(redis, server)
        # Both raise if a row did not end, or was paid for twice.
        measured = seen(server, [running.result()], _AT_ONCE, UNTOLD)
    refused = [each["at"] for each in measured.wire.exchanges if each["status"] == 429]
    meanwhile = sum(died_at <= at < back_at + _BACK_SECONDS for at in refused)
    before = sum(at < died_at for at in refused)
    return [
        at_most(
            "Redis killed for 10 s: refused before or after",
            len(refused) - meanwhile,
            0,
            raw=f"{before} before, {meanwhile} meanwhile, {len(refused) - meanwhile - before} after, "
            f"of {len(measured.wire.exchanges)}",
        ),
        Figure(
            "Redis killed for 10 s: rows that ended, paid for once",
            f"{len(measured.runs)} of {_ROWS}",
            f"{_ROWS}",
            len(measured.runs) == _ROWS,
            f"{measured.makespan:.1f} s; {measured.endpoints}",
        ),
    ]


def _by(redis: Redis) -> dict[str, str]:
    return {"AIRFLOW__BITSCALE__SHARED_STATE_URL": redis.url}


def _die_for_a_while(redis: Redis, server: Emulator) -> tuple[float, float]:
    """Kill a Redis in the middle, and start it anew; when that was, in Unix seconds."""
    control = EmulatorControl(server.origin)
    wait_until(lambda: control.state()["runs_paid"] >= _ROWS / 2, "half of the rows")
    died_at = time.time()
    redis.kill()
    time.sleep(max(0.0, died_at + _AWAY_SECONDS - time.time()))
    redis.restart()
    return died_at, time.time()
