from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_bitscale.api.limit import pacer
from airflow_provider_bitscale.emulator import Emulator
from tests.docs.session import SECONDS, PageSession, reader_environment
from tests.support.fixtures import emulators
from tests.support.hooks import connect

__all__ = ["emulators"]

RunDags = Callable[[Path], dict[str, str]]
MakeDatabase = Callable[[dict[str, str]], None]


@pytest.fixture
def emulator(emulators: dict[str, Emulator], monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """A local BitScale in its start state, to which `bitscale_default` leads."""
    chosen = emulators["v1.1.0"]
    chosen.control.reset()
    pacer._pacers.clear()
    connect(monkeypatch, chosen)
    return chosen


@pytest.fixture
def run_dags(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emulator: Emulator
) -> RunDags:
    """Runs the DAGs of a file by a real `dag.test()`; what has no schedule of its own, or one of times."""

    def run(file: Path) -> dict[str, str]:
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(file)
        if bag.import_errors or not bag.dags:
            return dict(bag.import_errors) or {file.name: "has no DAG"}
        bundle = {
            "name": f"docs {tmp_path.name}",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(file.parent)},
        }
        monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
        request.getfixturevalue("_metadata_database")
        problems: dict[str, str] = {}
        for dag in bag.dags.values():
            tasks = dag.test().get_task_instances()
            problems |= {ti.task_id: str(ti.state) for ti in tasks if ti.state not in ("success", "skipped")}
        return problems

    return run


@pytest.fixture(scope="session")
def _metadata_database() -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(scope="session")
def _empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an Airflow that has just made its database."""
    home = tmp_path_factory.mktemp("empty")
    _make(reader_environment(home, ""))
    return home / "airflow" / "airflow.db"


def _make(environment: dict[str, str]) -> None:
    subprocess.run(
        ["airflow", "db", "migrate"], env=environment, check=True, capture_output=True, timeout=SECONDS
    )


@pytest.fixture
def make_database(request: pytest.FixtureRequest) -> MakeDatabase:
    def make(environment: dict[str, str]) -> None:
        database: Path = request.getfixturevalue("_empty_database")
        home = Path(environment["AIRFLOW_HOME"])
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(database, home / database.name)

    return make


@pytest.fixture
def page_session(
    tmp_path: Path, emulator: Emulator, run_dags: RunDags, make_database: MakeDatabase
) -> PageSession:
    """A reader who begins a page."""
    environment = reader_environment(tmp_path, emulator.connection_json())
    return PageSession(tmp_path, environment, run_dags, make_database)
