"""What an earlier version left behind is finished by this one, and nothing of it is paid for again.

A file of :mod:`tests.upgrade.write` for each version and each point at which a task may be left.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.api import AmbiguousSubmitError
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME, GRID_ID
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.runs.run_record import ADOPT_KEY
from airflow_provider_bitscale.sensors.run_completed import RunCompletedSensor
from tests.support.batches import names_paid, statuses, written
from tests.support.clients import posts
from tests.support.task_runs import BatchStore, MemoryStore, TaskRun, trigger_of
from tests.upgrade.kept import HERE, Kept, load, made, one_base_url

# A task that a retry finishes, and one that its trigger does.
RETRIED = ["run-submitted", "run-sync", "run-collected", "run-deferred", "run-deferred-told"]
DEFERRED = ["run-deferred", "run-deferred-told"]
BATCHES = ["batch-begun", "batch-half-done", "batch-collected"]
VERSIONS = sorted(path.name for path in HERE.glob("v*"))


pytestmark = pytest.mark.parametrize("version", VERSIONS)


class Left:
    """A task instance that an earlier version left, in the hands of this one."""

    def __init__(self, emulator: Emulator, kept: Kept) -> None:
        self.kept = kept
        self.store = BatchStore() if "Batch" in kept.operator else MemoryStore()
        self.store.values = {key: json.dumps(value) for key, value in kept.store.items()}
        self.task = TaskRun(lambda: made(kept.operator, kept.arguments), self.store, tries=1)
        self._emulator = emulator
        self._posted_before = len(posts(emulator))

    @property
    def posted(self) -> int:
        """Runs that were paid for since."""
        return len(posts(self._emulator)) - self._posted_before

    def resume(self) -> Any:
        """What its trigger, and then the method that Airflow calls, come to."""
        assert self.kept.trigger is not None
        assert self.kept.next_method is not None
        trigger = trigger_of(*self.kept.trigger)
        return self.task.resume(trigger, self.kept.next_method, self.task.context())


@pytest.fixture
def left(
    version: str, name: str, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Left:
    one_base_url(monkeypatch)
    # No delivery comes.
    monkeypatch.setattr("airflow_provider_bitscale.runs.polling.SELDOM_SECONDS", 0.1)
    # The machine is another one.
    monkeypatch.setattr("airflow_provider_bitscale.batch.store.sent_log.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("airflow_provider_bitscale.batch.store.takeover.LAST_ANSWERS_SECONDS", 0.0)

    def submit(inputs: Any) -> str:
        run_id = BitScaleHook().run_grid(GRID_ID, inputs).run_id
        assert run_id is not None
        return run_id

    return Left(emulator, load(HERE / version / f"{name}.json", tmp_path, submit, time.time()))


def test_what_is_kept_is_tested(version: str) -> None:
    assert {path.stem for path in (HERE / version).iterdir()} == {
        "run-intent", *RETRIED, *DEFERRED, "run-handed-on", *BATCHES,
    }  # fmt: skip


@pytest.mark.parametrize("name", RETRIED)
def test_a_retry_collects_the_run(left: Left) -> None:
    result = left.task.attempt()
    assert result["outputs"]["Full Name"] == "Ada Lovelace"
    assert result["status"] == "completed"
    assert left.posted == 0


@pytest.mark.parametrize("name", ["run-collected"])
def test_a_clear_after_success_runs_again(left: Left) -> None:
    left.task.clear()
    left.task.attempt()
    assert left.posted == 1


@pytest.mark.parametrize("name", DEFERRED)
def test_a_deferred_task_goes_on_with_its_trigger(left: Left) -> None:
    assert left.resume()["status"] == "completed"
    assert left.posted == 0


@pytest.mark.parametrize("name", ["run-intent"])
def test_an_intent_without_an_answer_is_ambiguous_until_a_person_names_the_run(
    left: Left, emulator: Emulator
) -> None:
    with pytest.raises(AmbiguousSubmitError):
        left.task.attempt()
    assert left.posted == 0
    left.store.values[ADOPT_KEY] = json.dumps(
        BitScaleHook().run_grid(GRID_ID, {FULL_NAME: "Ada Lovelace"}).run_id
    )
    assert left.task.attempt()["status"] == "completed"
    assert left.posted == 1, "the run of that person"


@pytest.mark.parametrize("name", ["run-handed-on"])
def test_what_was_handed_on_is_waited_for_by_a_sensor(left: Left) -> None:
    xcom = left.kept.xcom
    waiting = TaskRun(
        lambda: RunCompletedSensor(
            task_id="wait",
            grid_id=xcom["grid_id"],
            run_id=xcom["run_id"],
            delivery_address=left.kept.pushed["delivery_address"],
            deferrable=True,
        )
    )
    assert waiting.attempt()["status"] == "completed"
    assert left.posted == 0


@pytest.mark.parametrize("name", BATCHES)
def test_a_retry_finishes_a_batch(left: Left, emulator: Emulator, name: str) -> None:
    """Rows that may have been paid for are parked; all others are run, each once."""
    parked = sum(entry == "" for value in left.kept.store.values() for entry in value.get("entries", ()))
    left.task.make = lambda: made(left.kept.operator, {**left.kept.arguments, "fail_when_incomplete": False})
    manifest = left.task.attempt()
    assert len(written(manifest)) == 12
    counts = statuses(manifest)
    assert counts["succeeded"] + counts["unknown"] == 12
    assert counts["unknown"] <= parked
    assert max(names_paid(emulator).values()) == 1
    if name == "batch-collected":
        took = dict.fromkeys(("started_at", "finished_at", "seconds"))
        assert (left.posted, {**manifest, **took}) == (0, {**left.kept.xcom, **took})
