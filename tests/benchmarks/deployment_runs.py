"""What the measurements of a deployment share: task instances in fresh processes, and what they came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow_provider_bitscale.api.limit.pace import NO_PACE, Pace, evenly
from airflow_provider_bitscale.emulator import EmulatorControl
from airflow_provider_bitscale.emulator.seed import FULL_NAME
from tests.benchmarks.batch_runs import Emulator, Wire, emulator
from tests.benchmarks.deployment_oracle import Foreseen, Limit, Oracle, OracleTask
from tests.benchmarks.deployment_tasks import person
from tests.benchmarks.processes import ProcessFailedError, run_json

RUN_SECONDS = ("--run-seconds", "2", "10")
# As BitScale is served today: five requests a second, and no answer tells of it.
UNTOLD = Limit(5, 1.0, evenly(5, 1.0))
UNTOLD_OPTIONS = ("--contract", "workspace-key", "--rate-limit", "5/1", *RUN_SECONDS)
_TIMEOUT = 900.0


def told(requests: int, seconds: int) -> tuple[Limit, tuple[str, ...]]:
    """A limit of which headers tell, as v1.1.0 documents, and the emulator's options for it."""
    limit = Limit(requests, seconds, NO_PACE)
    return limit, ("--contract", "v1.1.0", "--rate-limit", f"{requests}/{seconds}", *RUN_SECONDS)


@dataclass(frozen=True)
class Deployed:
    """Rows that were run, and what left on the wire for them.

    :param tasks: of each group of processes.
    :param at_once: tasks at a time, in each group.
    :param runs: that BitScale was paid for.
    """

    tasks: Sequence[Sequence[dict[str, Any]]]
    at_once: int
    limit: Limit
    defers: bool
    wire: Wire
    runs: Sequence[dict[str, Any]]

    @cached_property
    def started_at(self) -> float:
        """When the first process was started, in Unix seconds."""
        return float(min(task["forked_at"] for group in self.tasks for task in group))

    @property
    def makespan(self) -> float:
        """Seconds until the last row had ended."""
        ended = "fired_at" if self.defers else "exited_at"
        return float(max(task[ended] for group in self.tasks for task in group)) - self.started_at

    @property
    def share_refused(self) -> float:
        """Of all requests, those answered 429."""
        return self.wire.refused / len(self.wire.exchanges)

    @property
    def requests_per_row(self) -> float:
        """All requests, refused ones included."""
        return len(self.wire.exchanges) / sum(map(len, self.tasks))

    @property
    def served(self) -> list[float]:
        """When requests came that were not refused."""
        return [each["at"] for each in self.wire.exchanges if each["status"] != 429]

    @property
    def share_used(self) -> float:
        """Share of the limit that was used from the first process to the last."""
        return len(self.served) / self.makespan / self.limit.per_second

    def foreseen(self, pace: Pace | None = None) -> Foreseen:
        """What an oracle would have come to.

        :param pace: another one than that which is booked; None for that.
        """
        limit = self.limit if pace is None else Limit(self.limit.requests, self.limit.seconds, pace)
        groups = [self._oracle_tasks(number) for number in range(len(self.tasks))]
        return Oracle([task for group in groups for task in group], self.at_once, limit).run(self.started_at)

    @property
    def endpoints(self) -> str:
        """How many requests of each kind were sent, and how many of them refused."""
        return ", ".join(
            f"{count} {name}" for name, count in sorted(Counter(map(endpoint, self.wire.exchanges)).items())
        )

    def _oracle_tasks(self, group: int) -> list[OracleTask]:
        return [self._oracle_task(task, group) for task in self.tasks[group]]

    def _oracle_task(self, task: dict[str, Any], group: int) -> OracleTask:
        run = self._runs[person(task["number"])]
        submitted_at = run["submitted_at"]
        last_answer = submitted_at if self.defers else self._last_polls[run["run_id"]]
        return OracleTask(
            task["booked_at"] - task["forked_at"],
            run["completed_at"] - submitted_at,
            task["exited_at"] - last_answer,
            group,
            self.defers,
        )

    @cached_property
    def _runs(self) -> dict[str, dict[str, Any]]:
        return {run["inputs"][FULL_NAME]: run for run in self.runs}

    @cached_property
    def _last_polls(self) -> dict[str, float]:
        return {
            each["path"].rpartition("/")[2]: each["at"]
            for each in self.wire.exchanges
            if each["status"] == 200
        }


def endpoint(exchange: Mapping[str, Any]) -> str:
    """What a request asked for, in a word; and whether it was refused."""
    path = exchange["path"].partition("?")[0]
    if exchange["method"] == "POST":
        kind = "submissions"
    elif "/runs/" in path or "/run/status/" in path:
        kind = "polls"
    else:
        kind = "questions about the grid"
    return f"refused {kind}" if exchange["status"] == 429 else kind


def run_tasks(
    server: Emulator,
    home: Path,
    rows: int,
    at_once: int,
    *options: str,
    more: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Run rows as tasks in fresh processes; return them.

    :param home: a new folder, which is their temporary one, too.
    :param options: of :mod:`tests.benchmarks.deployment_tasks`.
    :param more: environment variables.
    :raises ProcessFailedError: a row did not succeed.
    """
    home.mkdir(parents=True)
    arguments = ["-m", "tests.benchmarks.deployment_tasks", str(home), str(rows), str(at_once), *options]
    env = {**server.environment(home), **(more or {})}
    tasks: list[dict[str, Any]] = run_json(arguments, env, timeout=_TIMEOUT)
    if failed := [task for task in tasks if task["outcome"] != "completed"]:
        raise ProcessFailedError(f"{len(failed)} of {rows} rows did not succeed: {failed[0]}")
    return tasks


def deploy(
    home: Path,
    limit: Limit,
    emulator_options: Sequence[str],
    rows: int,
    at_once: int,
    *,
    deferrable: bool = False,
) -> Deployed:
    """Run rows on a fresh emulator, with nothing that is shared from before."""
    home.mkdir(parents=True)
    options = ["--deferrable"] if deferrable else []
    with emulator(home, *emulator_options) as server:
        tasks = run_tasks(server, home / "tasks", rows, at_once, *options)
        return seen(server, [tasks], at_once, limit, defers=deferrable)


def deploy_groups(home: Path, rows: int, at_once: int, groups: int, more: Mapping[str, str]) -> Deployed:
    """Run rows in groups of processes that have no file system in common.

    :param rows: in each group, as ``at_once``.
    :param more: environment variables of all.
    """
    home.mkdir(parents=True)
    with emulator(home, *UNTOLD_OPTIONS) as server, ThreadPoolExecutor(groups) as pool:
        running = [
            pool.submit(
                run_tasks, server, home / str(group), rows, at_once, "--first", str(group * rows), more=more
            )
            for group in range(groups)
        ]
        return seen(server, [each.result() for each in running], at_once, UNTOLD)


def seen(
    server: Emulator,
    tasks: Sequence[Sequence[dict[str, Any]]],
    at_once: int,
    limit: Limit,
    *,
    defers: bool = False,
) -> Deployed:
    """Tasks that have ended, and what the emulator has seen of them.

    :raises ProcessFailedError: not each row was paid for once.
    """
    runs = EmulatorControl(server.origin).state()["runs"]
    paid = Counter(run["inputs"][FULL_NAME] for run in runs)
    if paid != Counter(person(task["number"]) for group in tasks for task in group):
        raise ProcessFailedError(f"not each row was paid for once: {paid.most_common(3)} …")
    return Deployed(tasks, at_once, limit, defers, server.wire(), runs)
