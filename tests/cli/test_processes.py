"""The real `airflow bitscale …`: piped, without a terminal and without Airflow's database."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from airflow_provider_bitscale.api.config import V1_1_0, WORKSPACE_KEY
from airflow_provider_bitscale.cli.definition import get_bitscale_commands
from airflow_provider_bitscale.emulator import Emulator
from tests.support.processes import environment

AIRFLOW = [sys.executable, "-m", "airflow"]
BITSCALE = [*AIRFLOW, "bitscale"]
NOWHERE = "postgresql+psycopg2://joe:database-password@127.0.0.1:1/nothing"
RUN = ("run", "grid_001", "--input", "Full Name=Ada", "--input", "Company=Acme")
COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("check",),
    "credits": ("credits",),
    "grids": ("grids", "--search", "lead"),
    "columns": ("columns", "grid_001"),
    "run": RUN,
    "run and wait": (*RUN, "--yes", "--wait"),
    "demo": ("demo",),
    "emulator": ("emulator", "--help"),
}
# Of CPU time, and what `airflow version` takes.
MOST_SECONDS = 3.0
BARE_SECONDS = 2.0
# What a process adds is the same under each.
ONE_CONTRACT = pytest.mark.parametrize("contract", [V1_1_0])


@pytest.fixture
def surroundings(emulator: Emulator, tmp_path: Path) -> dict[str, str]:
    """A new user's: the default log level, no database, connections in the environment."""
    more = {
        "AIRFLOW__CORE__TEST_CONNECTION": "Disabled",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": NOWHERE,
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "AIRFLOW_CONN_BITSCALE_DEFAULT": os.environ["AIRFLOW_CONN_BITSCALE_DEFAULT"],
    }
    return environment(tmp_path, more)


def call(arguments: tuple[str, ...], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BITSCALE, *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
    )


def cpu_seconds() -> float:
    """What all processes that have ended have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_every_command_is_among_them() -> None:
    [group] = get_bitscale_commands()
    # One that is shown in what `run` waits for.
    assert {arguments[0] for arguments in COMMANDS.values()} == {c.name for c in group.subcommands} - {
        "get-run"
    }


@pytest.mark.parametrize(
    ("contract", "name"), [*((V1_1_0, name) for name in COMMANDS), (WORKSPACE_KEY, "run and wait")]
)
def test_a_command_works_without_a_database_and_prints_what_can_be_piped(
    name: str, surroundings: dict[str, str], emulator: Emulator
) -> None:
    before = cpu_seconds()
    done = call(COMMANDS[name], surroundings)
    seconds = cpu_seconds() - before
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    # Nothing is logged, and what is told besides the result is for people.
    assert not re.search(r"Traceback|\[(info|warning|error) ", done.stdout + done.stderr)
    for secret in (emulator.api_key, emulator.webhook_secret, "database-password"):
        assert secret not in done.stdout + done.stderr
    if seconds >= MOST_SECONDS:
        # The machine may be slow just now: then Airflow takes longer by itself, too.
        before = cpu_seconds()
        subprocess.run([*AIRFLOW, "version"], env=surroundings, check=True, capture_output=True, timeout=120)
        assert seconds < MOST_SECONDS / BARE_SECONDS * (cpu_seconds() - before)


@ONE_CONTRACT
def test_a_connection_that_only_the_database_could_have_is_told(surroundings: dict[str, str]) -> None:
    done = call(("check", "--conn-id", "elsewhere"), surroundings)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r"error: connection 'elsewhere' is not in the environment, .*cannot be asked.*\n", done.stderr
    )
    assert "database-password" not in done.stderr


@ONE_CONTRACT
def test_a_connection_in_airflows_database_is_found(surroundings: dict[str, str], tmp_path: Path) -> None:
    database = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        # The processes have no configuration file, in which each would find the other's key.
        "AIRFLOW__CORE__FERNET_KEY": "",
    }
    env = {**surroundings, **database}
    connection = env.pop("AIRFLOW_CONN_BITSCALE_DEFAULT")
    program = """
import json, sys
from airflow.models import Connection
from airflow.models.base import Base
from airflow.models.team import Team
from airflow.settings import engine
from airflow.utils.session import create_session
Base.metadata.create_all(engine, tables=[Team.__table__, Connection.__table__])
with create_session() as session:
    session.add(Connection.from_json(sys.argv[1], conn_id="bitscale_default"))
"""
    subprocess.run([sys.executable, "-c", program, connection], env=env, check=True, timeout=60)
    done = call(("check",), env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Connected")


@ONE_CONTRACT
def test_a_reader_that_has_seen_enough_ends_it_without_a_word(surroundings: dict[str, str]) -> None:
    with Emulator(extra_grids=3000) as large:
        env = {**surroundings, "AIRFLOW_CONN_BITSCALE_DEFAULT": large.connection_json()}
        process = subprocess.Popen(
            [*BITSCALE, "grids", "-o", "plain"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("id ")
        process.stdout.close()
        said = process.stderr.read()
        process.stderr.close()
        assert (process.wait(60), said) == (1, "")


@ONE_CONTRACT
def test_whoever_interrupts_the_wait_is_told_how_to_get_the_run(
    surroundings: dict[str, str], emulator: Emulator
) -> None:
    emulator.control.add_fault("run_never_ends")
    process = subprocess.Popen(
        [*BITSCALE, *RUN, "--yes", "--wait"],
        env=surroundings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    told = re.search(r"airflow bitscale (get-run .*)", process.stderr.readline())
    assert told is not None, "the id is told before the run ends"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "goes on and is paid for" in err
    later = call((*told[1].split(), "-o", "json"), surroundings)
    assert json.loads(later.stdout)["status"] == "running"


@ONE_CONTRACT
def test_the_emulator_serves_until_it_is_told_to_stop(surroundings: dict[str, str]) -> None:
    process = subprocess.Popen(
        [*BITSCALE, "emulator", "--port", "0", "--seed", "1"],
        env=surroundings,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("BitScale emulator at http://127.0.0.1:")
    exported = process.stdout.readline().partition("AIRFLOW_CONN_BITSCALE_DEFAULT=")[2].strip().strip("'")
    assert call(("check",), {**surroundings, "AIRFLOW_CONN_BITSCALE_DEFAULT": exported}).returncode == 0
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
