"""The harness keeps its own promises: what it starts works, and nothing of it is left."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from itertools import count
from pathlib import Path

import psutil
import pytest

from airflow_provider_bitscale.api.config import WORKSPACE_KEY
from tests.support.local_airflow import LocalAirflow
from tests.support.processes import Family, free_port, port_is_free
from tests.support.redis import Redis
from tests.support.waiting import wait_until
from tests.system.conftest import StartAirflow

ROOT = Path(__file__).parents[2]

needs_redis = pytest.mark.skipif(Redis.missing_reason() is not None, reason=Redis.missing_reason() or "")

DAG = """
import time

from airflow.sdk import dag, task

@dag(schedule=None)
def harness():
    @task
    def sleep():
        time.sleep(300)

    sleep()

harness()
"""

# Starts a child that leaves the session, then ignores a polite request as well.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
print("ready", flush=True)
time.sleep(300)
"""

INTERRUPTED = f"""
import os, sys, time
from pathlib import Path

from tests.support.processes import Family
from tests.tools.stage import run

def main():
    family = Family()
    try:
        command = [sys.executable, "-c", {STUBBORN!r}]
        family.spawn("child", command, env=os.environ, output=Path(sys.argv[1]), cwd=Path("."))
        time.sleep(300)
    finally:
        family.end(grace=2.0)

run(main)
"""


@pytest.fixture
def dags_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    return folder


def test_leaving_in_the_middle_of_a_task_leaves_no_process_and_no_port(
    start_airflow: StartAirflow, dags_folder: Path
) -> None:
    (dags_folder / "harness.py").write_text(DAG)
    airflow = start_airflow(dags_folder)
    airflow.wait_for_dags({"harness"})
    airflow.trigger("harness")
    started = airflow.wait_until(airflow.task_process_ids, "a task's process") + airflow.process_ids()

    airflow.__exit__(None, None, None)

    assert airflow.process_ids() == []
    assert [pid for pid in started if _alive(pid)] == []
    assert port_is_free(airflow.port)


def test_an_import_error_is_told(start_airflow: StartAirflow, dags_folder: Path) -> None:
    (dags_folder / "broken.py").write_text("from airflow.sdk import dag\nimport no_such_module\n")
    airflow = start_airflow(dags_folder, components=("api-server", "dag-processor"))
    with pytest.raises(RuntimeError, match="no_such_module"):
        airflow.wait_for_dags({"broken"})


def test_a_component_that_does_not_come_up_is_told_with_its_log(
    start_airflow: StartAirflow, dags_folder: Path
) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)scheduler ended with 1.*NoSuchExecutor"):
        start_airflow(
            dags_folder, components=("scheduler",), env={"AIRFLOW__CORE__EXECUTOR": "no.such.NoSuchExecutor"}
        )


@pytest.mark.parametrize("kill", [False, True])
def test_ending_a_family_finds_the_child_that_left_the_session(tmp_path: Path, kill: bool) -> None:
    family, output = Family(), tmp_path / "out"
    family.spawn(
        "stubborn", [sys.executable, "-c", STUBBORN], env=dict(os.environ), output=output, cwd=tmp_path
    )
    wait_until(output.read_text, "the child")
    members = family.members()
    assert len(members) == 2

    family.end(kill=kill, grace=0.5)

    assert family.members() == []
    assert not any(_alive(process.pid) for process in members)


def test_a_second_ctrl_c_cannot_interrupt_the_tidying(tmp_path: Path) -> None:
    family, output, child = Family(), tmp_path / "out", tmp_path / "child"
    child.touch()
    family.spawn(
        "demo",
        [sys.executable, "-c", INTERRUPTED, str(child)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        output=output,
        cwd=tmp_path,
    )
    try:
        wait_until(child.read_text, "the child")
        (demo,) = [process for process in family.members() if str(child) in process.cmdline()]
        members = [
            process for process in demo.children(recursive=True) if process.status() != psutil.STATUS_ZOMBIE
        ]
        assert len(members) == 2
        for _ in range(2):
            demo.send_signal(signal.SIGINT)
            wait_until(lambda: "Stopping" in output.read_text(), "the answer to Ctrl-C")
        wait_until(lambda: family.exit_code("demo") is not None, "its end")
        assert family.exit_code("demo") == 130
        assert "nothing is left running" in output.read_text()
        assert not any(_alive(process.pid) for process in members)
    finally:
        family.end(kill=True)


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    family = Family()
    command = [sys.executable, "-c", "import time; time.sleep(300)"]
    family.spawn("one", command, env={}, output=tmp_path / "out", cwd=tmp_path)
    with pytest.raises(RuntimeError, match="one is running already"):
        family.spawn("one", command, env={}, output=tmp_path / "out", cwd=tmp_path)
    family.end(kill=True)


def test_a_wait_ends_when_nothing_is_new_and_says_what_for() -> None:
    with pytest.raises(TimeoutError, match=r"nothing new for 0\.1 s: the moon"):
        wait_until(lambda: None, "the moon", patience=0.1, every=0.05)


def test_a_wait_lasts_as_long_as_something_is_new() -> None:
    steps = iter(range(10))
    rising = count()
    wait_until(lambda: next(steps) == 9, "the moon", progress=lambda: next(rising), patience=0.01, every=0.05)


def test_an_airflow_gets_on_while_its_tasks_log(tmp_path: Path) -> None:
    airflow = LocalAirflow(tmp_path, tmp_path, env={})
    log = tmp_path / "logs" / "dag_id=d" / "run_id=r" / "task_id=t" / "attempt=1.log"
    log.parent.mkdir(parents=True)
    log.write_text("started\n")
    before = airflow.progress()
    (tmp_path / "logs" / "dag_processor").write_text("still there\n")
    assert airflow.progress() == before
    with log.open("a") as more:
        more.write("deferred\n")
    assert airflow.progress() != before


def test_a_free_port_is_free() -> None:
    assert port_is_free(free_port())


@needs_redis
def test_a_redis_answers_to_its_password_alone_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Redis() as server:
        assert list(tmp_path.iterdir())
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as stranger:
            stranger.sendall(b"PING\r\n")
            assert stranger.recv(100).startswith(b"-NOAUTH")
    assert list(tmp_path.iterdir()) == []
    assert port_is_free(server.port)


@needs_redis
def test_a_redis_that_does_not_come_up_is_told_with_its_log() -> None:
    with Redis() as first:
        second = Redis()
        second.port = first.port
        with pytest.raises(RuntimeError, match=r"(?s)redis ended with 1.*Address already in use"):
            second.__enter__()


def test_the_demo_enriches_the_csv_and_ends(tmp_path: Path) -> None:
    # Under the contract that asks for more; the other one's way through Airflow is that of most tests here.
    output = _run_to_its_end("tests.tools.demo", "--contract", WORKSPACE_KEY, output=tmp_path / "out")
    assert f"a local BitScale ({WORKSPACE_KEY})" in output
    # How many wait at one time depends on how fast the machine is.
    assert re.search(r"[2-8] waiting in the triggerer, 0 worker slots held", output)
    assert "Ada Lovelace" in output
    assert re.search(r"^8 runs, [1-9]\d* credits spent", output, re.MULTILINE)
    assert "nothing is left running" in output


def test_the_airflow_to_click_through_is_ready(tmp_path: Path) -> None:
    output = _run_to_its_end("tests.tools.ui", "--seconds", "1", output=tmp_path / "out")
    assert re.search(r"http://127\.0\.0\.1:\d+ +user admin +password \S+", output)
    assert "nothing is left running" in output


def _run_to_its_end(module: str, *arguments: str, output: Path) -> str:
    """Run a module; its output once it has ended well and nothing of it is left."""
    family = Family()
    command = [sys.executable, "-m", module, *arguments]
    family.spawn(module, command, env=dict(os.environ), output=output, cwd=ROOT)
    try:
        wait_until(
            lambda: family.exit_code(module) is not None,
            f"the end of {module}",
            progress=output.read_text,
            patience=300.0,
        )
        assert family.exit_code(module) == 0, output.read_text()
        assert family.members() == []
    finally:
        family.end(kill=True)
    return output.read_text()


def _alive(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
