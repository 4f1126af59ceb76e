"""A test's view of a running Airflow through its public REST API."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, NamedTuple
from urllib.parse import quote

import requests
from packaging.version import Version

from tests.support.waiting import Found, wait_until

log = logging.getLogger(__name__)

FINISHED = ("success", "failed")

_CAN_DISCARD_STATE = Version(version("apache-airflow")).release >= (3, 4)

# Seconds for one answer, which a busy machine may need.
_ANSWER_TIMEOUT = 120.0

# Seconds before a call that left nothing behind is made again.
_PAUSES = (1.0, 2.0, 4.0, 8.0)

# What every message of a task's log repeats, beside the fields shown first.
_LOG_ROUTINE = {
    *("timestamp", "level", "event", "logger", "filename", "lineno"),
    *("dag_id", "run_id", "task_id", "map_index", "try_number", "ti_id"),
}


class Login(NamedTuple):
    """What to type into the browser's sign-in form."""

    username: str
    password: str


class AirflowApi:
    """The calls a test makes. Each raises `AirflowApiError` with the server's answer when it is refused."""

    def __init__(self, url: str, login: Login) -> None:
        self.url = url
        self.login = login
        self._http = requests.Session()
        # A proxy or a ~/.netrc of the developer has no say in loopback traffic.
        self._http.trust_env = False

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """One call under `/api/v2`, signed in on first use; the decoded JSON, None for an empty answer."""
        if "Authorization" not in self._http.headers:
            answer = self._http.post(
                f"{self.url}/auth/token", json=self.login._asdict(), timeout=_ANSWER_TIMEOUT
            )
            self._http.headers["Authorization"] = f"Bearer {_checked(answer).json()['access_token']}"
        answer = self._http.request(method, f"{self.url}/api/v2{path}", timeout=_ANSWER_TIMEOUT, **kwargs)
        for pause in _PAUSES:
            if not _was_rolled_back(answer):
                break
            log.warning("Called again after %s s: %s %s: %s", pause, method, path, answer.text)
            time.sleep(pause)
            answer = self._http.request(method, f"{self.url}/api/v2{path}", timeout=_ANSWER_TIMEOUT, **kwargs)
        return _checked(answer).json() if answer.content else None

    def health(self) -> dict[str, Any]:
        """What `/monitor/health` says; empty while the API server does not answer."""
        try:
            answer = self._http.get(f"{self.url}/api/v2/monitor/health", timeout=30)
        except requests.RequestException:
            return {}
        health: dict[str, Any] = answer.json() if answer.ok else {}
        return health

    def progress(self) -> object:
        """Return something that changes while tasks get on; waits last as long as it does."""
        return None

    def wait_until(self, probe: Callable[[], Found | None], what: str | Callable[[], str]) -> Found:
        """Return the first truthy answer of `probe`. Raises `TimeoutError` once nothing gets on any more."""
        return wait_until(probe, what, progress=self.progress)

    def wait_for_dags(self, dag_ids: set[str]) -> None:
        """Return once all of `dag_ids` are parsed.

        Raises `RuntimeError` with the text of the first import error, `TimeoutError` naming what is missing.
        """
        missing = set(dag_ids)

        def parsed() -> bool:
            for error in self.call("GET", "/importErrors")["import_errors"]:
                raise RuntimeError(f"{error['filename']} cannot be imported:\n{error['stack_trace']}")
            known = {dag["dag_id"] for dag in self.call("GET", "/dags", params={"limit": 100})["dags"]}
            missing.difference_update(known)
            return not missing

        wait_until(parsed, lambda: f"dags {sorted(missing)}", progress=lambda: len(missing))

    def add_connection(self, conn_id: str, connection: dict[str, Any]) -> None:
        """Store a connection (as `AIRFLOW_CONN_*` has it in JSON) in the database, where the UI lists it."""
        body = {**connection, "connection_id": conn_id, "extra": json.dumps(connection.get("extra", {}))}
        self.call("POST", "/connections", json=body)

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run of a parsed dag now; its run id."""
        body = {"logical_date": None, "conf": conf or {}}
        run_id: str = self.call("POST", f"/dags/{quote(dag_id)}/dagRuns", json=body)["dag_run_id"]
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """`queued`, `running`, `success` or `failed`."""
        state: str = self.call("GET", _run(dag_id, run_id))["state"]
        return state

    def wait_for_run(self, dag_id: str, run_id: str) -> str:
        """`success` or `failed`. Raises `TimeoutError` with the state of every task."""

        def finished() -> str | None:
            state = self.run_state(dag_id, run_id)
            return state if state in FINISHED else None

        return self.wait_until(
            finished, lambda: f"end of {dag_id} {run_id}, tasks {self.task_states(dag_id, run_id)}"
        )

    def wait_for_task(self, dag_id: str, run_id: str, task_id: str, *states: str) -> None:
        """Return once every instance is in one of `states`. Raises `TimeoutError` with the states."""

        def reached() -> bool:
            mine = [ti for ti in self.task_instances(dag_id, run_id) if ti["task_id"] == task_id]
            return bool(mine) and all(ti["state"] in states for ti in mine)

        self.wait_until(reached, lambda: f"{task_id} in {states}, tasks {self.task_states(dag_id, run_id)}")

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Every task instance of a run, mapped ones each, as the API tells it (at most a page of 100)."""
        answer = self.call("GET", f"{_run(dag_id, run_id)}/taskInstances", params={"limit": 100})
        instances: list[dict[str, Any]] = answer["task_instances"]
        return instances

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """The state of each task instance by name; mapped ones as `task[0]`."""
        return {
            ti["task_id"] + (f"[{ti['map_index']}]" if ti["map_index"] >= 0 else ""): ti["state"]
            for ti in self.task_instances(dag_id, run_id)
        }

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """One XCom's value."""
        path = f"{_task(dag_id, run_id, task_id)}/xcomEntries/{quote(key, safe='')}"
        return self.call("GET", path, params={"map_index": map_index, "deserialize": True})["value"]

    def clear(
        self, dag_id: str, run_id: str, task_ids: list[str] | None = None, *, keep_state: bool = False
    ) -> None:
        """Clear these tasks of a run, or all, whatever their state, as the UI's Clear does.

        From Airflow 3.4 on it discards what the tasks keep in their state stores unless `keep_state`; before,
        it never does.
        """
        body: dict[str, Any] = {"dag_run_id": run_id, "dry_run": False, "only_failed": False}
        if keep_state and _CAN_DISCARD_STATE:
            body["keep_task_state"] = True
        if task_ids is not None:
            body["task_ids"] = task_ids
        self.call("POST", f"/dags/{quote(dag_id)}/clearTaskInstances", json=body)

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> str:
        """The log of one try as text: a line per message, then its further fields (an exception's too)."""
        answer = self.call(
            "GET",
            f"{_task(dag_id, run_id, task_id)}/logs/{try_number}",
            params={"map_index": map_index, "full_content": True},
            headers={"Accept": "application/json"},
        )
        return "\n".join(_log_line(entry) for entry in answer["content"])


class AirflowApiError(RuntimeError):
    """The API server refused a call; the message carries its answer."""


def _checked(answer: requests.Response) -> requests.Response:
    if not answer.ok:
        raise AirflowApiError(
            f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:2000]}"
        )
    return answer


def _was_rolled_back(answer: requests.Response) -> bool:
    """Whether the call left nothing behind, because Airflow could not write it down.

    With SQLite its API server writes the audit log on the event loop, where it may wait for a transaction
    that another call can commit on the event loop alone: both stand still until the driver gives up.
    """
    return answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR and "Database error" in answer.text


def _log_line(entry: str | dict[str, Any]) -> str:
    if isinstance(entry, str):
        return entry
    head = " ".join(str(entry[key]) for key in ("timestamp", "level", "event") if entry.get(key))
    rest = {key: value for key, value in entry.items() if key not in _LOG_ROUTINE}
    causes = [
        f"{error['exc_type']}: {error['exc_value']}"
        + "".join(f"\n    {at['filename']}:{at['lineno']} {at['name']}" for at in error["frames"])
        for error in rest.pop("error_detail", [])
    ]
    return "\n  ".join([f"{head} {rest}" if rest else head, *causes])


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"


def _task(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}"
