"""A real Airflow on loopback: API server, scheduler, dag processor, triggerer and workers as processes."""

from __future__ import annotations

import atexit
import base64
import functools
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

from tests.support.airflow_api import AirflowApi, Login
from tests.support.processes import Family, command_line, free_port, tail
from tests.support.waiting import wait_until

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
CELERY_WORKERS = ("celery-worker-1", "celery-worker-2")

# Seconds in which no further component is up, or the database is not made: far more than it takes, since all
# of them start at once and import all of Airflow.
_START_PATIENCE = 300.0
_COMMANDS = {
    # Idle keep-alive connections must not hold up a stop.
    "api-server": ("api-server", "--worker-timeout", "5"),
    # The log servers would listen on every interface; the API server reads the same files itself.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    **{
        worker: ("celery", "worker", "--skip-serve-logs", "--celery-hostname", worker)
        for worker in CELERY_WORKERS
    },
}
# The task process names itself after its task instance's id, a LocalExecutor worker after its executor.
_TASK_PROCESS = re.compile(r"^airflow worker -- [0-9a-f]{8}-")


class LocalAirflow(AirflowApi):
    """Airflow with everything it writes under `home`, alive for the length of a `with`.

    Tasks run under the scheduler's LocalExecutor or, given the `broker_url` of an empty Redis, under those
    of `CELERY_WORKERS` that are among the `components`, `worker_concurrency` at a time each. These need a
    `database_url`, too. The API server has `api_workers` processes.
    All components have one temporary folder, or with `apart` each its own, as on machines of their own.
    The environment is the caller's without its `AIRFLOW*` variables, plus `env`. Dags start unpaused.
    Entering raises `RuntimeError` with the tail of the logs when a component does not come up.
    Leaving ends every process, tasks and their children included, and raises if one is left.
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        *,
        env: Mapping[str, str],
        database_url: str | None = None,
        broker_url: str | None = None,
        parallelism: int = 4,
        components: Sequence[str] = COMPONENTS,
        port: int | None = None,
        api_workers: int = 1,
        worker_concurrency: int = 2,
        apart: bool = False,
    ) -> None:
        self._commands = {
            **_COMMANDS,
            "api-server": (*_COMMANDS["api-server"], "--workers", str(api_workers)),
        }
        self.port = port or free_port()
        super().__init__(f"http://127.0.0.1:{self.port}", Login("admin", secrets.token_urlsafe(9)))
        self.home = home
        self._components = tuple(components)
        self._apart = apart
        self._sqlite = home / "airflow.db" if database_url is None else None
        self._env = _environment(
            home,
            env,
            {
                "CORE__DAGS_FOLDER": str(dags_folder.resolve()),
                "CORE__PARALLELISM": str(parallelism),
                "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
                "API__BASE_URL": self.url,
                "API__PORT": str(self.port),
                "DATABASE__SQL_ALCHEMY_CONN": database_url or f"sqlite:///{self._sqlite}",
                **_executor(broker_url, worker_concurrency),
            },
        )
        self._family = Family()

    def __enter__(self) -> LocalAirflow:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "passwords.json").write_text(json.dumps({self.login.username: self.login.password}))
        if self._sqlite is None:
            _migrate(self._env)
        else:
            shutil.copyfile(_migrated_sqlite(), self._sqlite)
        try:
            self.start(*self._components)
        except BaseException:
            self._family.end(kill=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The API server waits for connections that are open.
        self._http.close()
        # A scheduler waits for its running tasks; a test that leaves some behind does not want to.
        self._family.end(grace=3.0)

    def start(self, *components: str) -> None:
        """Start components together and return once each has answered or sent its first heartbeat.

        Raises `RuntimeError` with the tail of a component's log when it ends or does not come up.
        """
        started = time.time()
        printed = {component: len(self.logs(component)) for component in components}
        for component in components:
            folder = self.home / "tmp" / (component if self._apart else "")
            folder.mkdir(parents=True, exist_ok=True)
            self._family.spawn(
                component,
                (sys.executable, "-m", "airflow", *self._commands[component]),
                env={**self._env, "TMPDIR": str(folder)},
                output=self._log_file(component),
                cwd=self.home,
            )
        waiting = set(components)

        def up() -> bool:
            self.check()
            health = self.health()
            for each in tuple(waiting):
                if _is_up(each, health, since=started, printed=self.logs(each)[printed[each] :]):
                    waiting.discard(each)
            return not waiting

        try:
            wait_until(up, "", progress=lambda: len(waiting), patience=_START_PATIENCE)
        except TimeoutError:
            tails = "\n".join(f"--- {name}\n{tail(self._log_file(name))}" for name in sorted(waiting))
            raise RuntimeError(f"not up: {sorted(waiting)}\n{tails}") from None

    def stop(self, component: str, *, kill: bool = False) -> None:
        """End a component: asked, with 20 s to finish; or killed with all it started, as a container dies."""
        self._family.end(component, kill=kill, grace=20.0)

    def restart(self, component: str, *, kill: bool = False) -> None:
        """Stop, then start, a component; the others run on."""
        self.stop(component, kill=kill)
        self.start(component)

    def check(self) -> None:
        """Raise `RuntimeError` with the tail of its log when a started component has ended by itself."""
        for component in self._family.names():
            if (code := self._family.exit_code(component)) is not None:
                raise RuntimeError(f"{component} ended with {code}:\n{tail(self._log_file(component))}")

    def progress(self) -> object:
        """Return how much each task and its trigger have logged; components chatter when idle, too."""
        logs = [file for folder in self.home.glob("logs/dag_id=*") for file in folder.rglob("*.log*")]
        return {file: file.stat().st_size for file in logs}

    def logs(self, component: str) -> str:
        """All that a component has printed so far; empty if it was never started."""
        log = self._log_file(component)
        return log.read_text(errors="replace") if log.exists() else ""

    def task_process_ids(self, component: str = "scheduler") -> list[int]:
        """The processes that run a task's code at this moment, under the scheduler or a Celery worker."""
        return [
            process.pid
            for process in self._family.members(component)
            if _TASK_PROCESS.match(command_line(process))
        ]

    def process_ids(self, component: str | None = None) -> list[int]:
        """Every living process of this Airflow, or of one component."""
        return [process.pid for process in self._family.members(component)]

    def _log_file(self, component: str) -> Path:
        return self.home / f"{component}.out"


def _executor(broker_url: str | None, worker_concurrency: int) -> dict[str, str]:
    if broker_url is None:
        return {"CORE__EXECUTOR": "LocalExecutor"}
    # Results go to the metadata database, which is the default.
    return {
        "CORE__EXECUTOR": "CeleryExecutor",
        "CELERY__BROKER_URL": broker_url,
        "CELERY__WORKER_CONCURRENCY": str(worker_concurrency),
        # Seconds: a task that died with its worker is the scheduler's to try again, not the broker's.
        "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
    }


def _environment(home: Path, env: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The developer's environment without any Airflow setting, then ours, then the caller's."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    ours = {
        **settings,
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__TEST_CONNECTION": "Enabled",
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        # Shared by the components, which would each make up their own.
        "CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "API__SECRET_KEY": secrets.token_hex(16),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "API__HOST": "127.0.0.1",
        "LOGGING__COLORED_CONSOLE_LOG": "False",
        # Seconds where the defaults suit a cluster, so that tests see what happens soon.
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "SCHEDULER__JOB_HEARTBEAT_SEC": "2",
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
        # A supervisor may notice its task's end only at the next heartbeat.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    }
    return {
        **inherited,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{key}": value for key, value in ours.items()},
        **env,
    }


def _is_up(
    component: str, health: Mapping[str, Mapping[str, str | None]], *, since: float, printed: str
) -> bool:
    if component == "api-server":
        return bool(health)
    if component in CELERY_WORKERS:
        return f"{component} ready." in printed
    name = component.replace("-", "_")
    # A predecessor's heartbeat still counts as healthy for a while, hence the comparison.
    heartbeat = health.get(name, {}).get(f"latest_{name}_heartbeat")
    return heartbeat is not None and datetime.fromisoformat(heartbeat).timestamp() > since


@functools.cache
def _migrated_sqlite() -> Path:
    """An empty migrated database, made once per process: copying it saves seconds at each start."""
    home = Path(tempfile.mkdtemp(prefix="airflow-template-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    database = home / "airflow.db"
    _migrate(_environment(home, {}, {"DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}"}))
    return database


def _migrate(env: Mapping[str, str]) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "airflow", "db", "migrate"),
        env=env,
        cwd=env["AIRFLOW_HOME"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_START_PATIENCE,
        check=False,
    )
    if done.returncode != 0:
        output = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        raise RuntimeError(f"airflow db migrate ended with {done.returncode}:\n{output}")
