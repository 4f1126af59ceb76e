"""Runs tasks as Airflow does, without Airflow: tries, deferral, rescheduling and the state between tries."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from airflow.sdk import NEVER_EXPIRE, BaseOperator  # type: ignore[attr-defined]
from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.triggers.base import BaseTrigger

from airflow_provider_bitscale.runs.state_store import PROBE_KEY


class Crash(BaseException):
    """The worker process is gone. Not an Exception: nothing may catch it and go on."""


class MemoryStore:
    """A task state store that keeps JSON, as the real one does.

    ``journal`` has the value written last and, for each write, its phase and what ``observe`` saw just then.
    A write whose phase is ``crash_before`` is lost with the process; one in ``crash_after`` is kept.
    """

    def __init__(self, observe: Callable[[], int] = lambda: 0) -> None:
        self.values: dict[str, str] = {}
        self.journal: list[tuple[str, int]] = []
        self.crash_before: str | None = None
        self.crash_after: str | None = None
        self._observe = observe

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        assert value is not None
        assert retention is NEVER_EXPIRE, "a record that expires is a run paid for twice"
        if key == PROBE_KEY:
            # Before anything is paid for, and no record.
            self.values[key] = json.dumps(value)
            return
        self.journal.append((value["phase"], self._observe()))
        if value["phase"] == self.crash_before:
            raise Crash
        self.values[key] = json.dumps(value, allow_nan=False)
        if value["phase"] == self.crash_after:
            raise Crash

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


class BatchStore(MemoryStore):
    """Keeps any value that Airflow would keep; ``writes`` has the time, key and value of each.

    The process dies with the write after which ``last`` is 0, each write counting it down; that one is kept
    if ``keeps_last``, and whatever comes after it is lost. Writes of keys of which ``fails`` says so raise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[tuple[float, str, Any]] = []
        self.last: int | None = None
        self.keeps_last = True
        self.fails: Callable[[str], bool] = lambda key: False

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        assert retention is NEVER_EXPIRE, "a record that expires is a run paid for twice"
        assert "/" not in key
        text = json.dumps(value, allow_nan=False)
        assert len(text) <= 65_536, "Airflow warns of larger values"
        if key == PROBE_KEY:
            # Before anything is paid for, and no record.
            self.values[key] = text
            return
        if self.last is not None:
            self.last -= 1
            if self.last < 0 or (self.last == 0 and not self.keeps_last):
                raise Crash
        if self.fails(key):
            raise ConnectionError("the API server is away")
        self.values[key] = text
        self.writes.append((time.time(), key, json.loads(text)))
        if self.last == 0:
            raise Crash

    def delete(self, key: str) -> None:
        if key != PROBE_KEY and self.last is not None and self.last <= 0:
            raise Crash
        super().delete(key)


@dataclass
class FakeTaskInstance:
    """What our tasks read of a task instance, and the XComs they push; values as JSON keeps them."""

    max_tries: int
    try_number: int = 1
    first_reschedule: datetime | None = None
    start_date: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    pushed: dict[str, Any] = field(default_factory=dict)
    dag_id: str = "dag"
    run_id: str = "manual"
    task_id: str = "enrich"
    map_index: int = -1

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = json.loads(json.dumps(value, allow_nan=False))

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.first_reschedule


@dataclass
class TaskRun:
    """One task instance over its tries, each with a new operator, as in a new process.

    :param make: makes the operator.
    :param max_tries: as Airflow keeps it for the task instance.
    :param retries: of the task, as its DAG has it.
    """

    make: Callable[[], BaseOperator]
    store: MemoryStore = field(default_factory=MemoryStore)
    max_tries: int = 2
    retries: int = 2
    tries: int = 0
    clears: int = 0
    triggers: list[BaseTrigger] = field(default_factory=list)
    reschedules: int = 0
    pushed: dict[str, Any] = field(default_factory=dict)
    outlet_events: OutletEventAccessors = field(default_factory=OutletEventAccessors)

    def attempt(self) -> Any:
        """One try, from the first `execute` to the value returned or the error raised."""
        self.tries += 1
        context = self.context()
        ti = context["ti"]
        while True:
            operator = self.make()
            try:
                return _succeeded(operator, operator.execute(context), context)
            except AirflowRescheduleException as again:
                self.reschedules += 1
                ti.first_reschedule = ti.first_reschedule or datetime.now(timezone.utc)
                time.sleep(max(0.0, again.reschedule_date.timestamp() - time.time()))
                continue
            except TaskDeferred as raised:
                deferred = raised
            break
        assert isinstance(deferred.trigger, BaseTrigger)
        assert not deferred.kwargs, "dag.test() drops them"
        self.triggers.append(deferred.trigger)
        return self.resume(deferred.trigger, deferred.method_name, context)

    def context(self) -> Any:
        """What Airflow gives the try that begins."""
        self.outlet_events = OutletEventAccessors()
        return {
            "ti": FakeTaskInstance(self.max_tries, self.tries, pushed=self.pushed),
            "task": SimpleNamespace(retries=self.retries),
            "dag_run": SimpleNamespace(clear_number=self.clears),
            "task_state_store": self.store,
            "outlet_events": self.outlet_events,
        }

    def resume(self, trigger: BaseTrigger, method_name: str, context: Any) -> Any:
        """Run the trigger of a deferred try; what the method that Airflow calls with its event returns."""
        event = fire(trigger)
        operator = self.make()
        result = operator.resume_execution(method_name, {"event": event}, context)
        return _succeeded(operator, result, context)

    def clear(self) -> None:
        """What a person's Clear does to a task instance and its DAG run."""
        self.max_tries = self.tries + self.retries
        self.clears += 1


def _succeeded(operator: BaseOperator, result: Any, context: Any) -> Any:
    """What Airflow does once a result is stored: it tells the task's callbacks."""
    for callback in operator.on_success_callback:
        callback(context)
    return result


def recreated(trigger: BaseTrigger) -> BaseTrigger:
    """The trigger as a triggerer builds it from its row."""
    return trigger_of(*trigger.serialize())


def trigger_of(path: str, arguments: Mapping[str, Any]) -> BaseTrigger:
    """A trigger by its class path, from JSON."""
    module, _, name = path.rpartition(".")
    copy: BaseTrigger = getattr(import_module(module), name)(**json.loads(json.dumps(arguments)))
    return copy


def fire(trigger: BaseTrigger) -> Any:
    """Run a trigger as a triggerer does; the payload of its one event, by way of JSON."""

    async def only_event() -> Any:
        events = [event async for event in recreated(trigger).run()]
        assert len(events) == 1
        return events[0].payload

    return json.loads(json.dumps(asyncio.run(only_event())))
