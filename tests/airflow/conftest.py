from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.api.limit import pacer
from airflow_provider_bitscale.emulator import Emulator
from tests.support.examples import EXAMPLE_DAGS
from tests.support.fixtures import contract, emulators
from tests.support.hooks import connect as connect_to

__all__ = ["contract", "emulators"]

HERE = Path(__file__).parent
FIXTURE_DAGS = HERE / "dags"

Connect = Callable[..., None]
RunDag = Callable[..., Any]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a module under each of its `CONTRACTS`, where it names some."""
    decided = any("contract" in mark.args for mark in metafunc.definition.iter_markers("parametrize"))
    contracts = getattr(metafunc.module, "CONTRACTS", None)
    if contracts and "contract" in metafunc.fixturenames and not decided:
        metafunc.parametrize("contract", contracts)


@pytest.fixture
def emulator(emulators: dict[str, Emulator], contract: str, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """A fast emulator of the contract in its start state, and `bitscale_default` leading to it."""
    chosen = emulators[contract]
    chosen.control.reset()
    # What one test learned about the rate limit holds for the whole process, and is none of the next one's.
    pacer._pacers.clear()
    connect_to(monkeypatch, chosen)
    return chosen


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """`connect(password=…, host=…, extra={…})`: these are the fields of `bitscale_default` now."""

    def set_connection(**fields: Any) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", json.dumps({"conn_type": "bitscale", **fields}))

    return set_connection


@pytest.fixture(scope="session")
def _metadata_database() -> None:
    bundles = [
        {
            "name": f"{folder.name} of the tests",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(folder)},
        }
        for folder in (EXAMPLE_DAGS, FIXTURE_DAGS)
    ]
    os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps(bundles)
    from airflow.utils.db import initdb

    initdb()


class FinishedDag:
    """A run of a DAG by `dag.test()`, and what its tasks returned."""

    def __init__(self, run: Any) -> None:
        self.run = run

    @property
    def states(self) -> dict[str, str]:
        """State by task id; by `task_id[map_index]` for mapped ones."""
        return {
            ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]": str(ti.state)
            for ti in self.run.get_task_instances()
        }

    def map_labels(self, task_id: str) -> list[str]:
        """What Airflow shows in place of the map indexes of a task, in their order."""
        tis = [ti for ti in self.run.get_task_instances() if ti.task_id == task_id]
        return [ti.rendered_map_index for ti in sorted(tis, key=lambda ti: ti.map_index)]

    def xcom(self, task_id: str, map_index: int = -1) -> Any:
        """What a task returned."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            row = session.scalars(
                XComModel.get_many(
                    key="return_value",
                    run_id=self.run.run_id,
                    dag_ids=[self.run.dag_id],
                    task_ids=[task_id],
                    map_indexes=[map_index],
                )
            ).one()
            return XComModel.deserialize_value(row)


@pytest.fixture
def run_dag(_metadata_database: None, emulator: Emulator) -> RunDag:
    """`run_dag(folder, dag_id, **conf)`: run a DAG of that folder with a real `dag.test()`."""

    def run(folder: Path, dag_id: str, **conf: Any) -> FinishedDag:
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(folder / f"{dag_id}.py")
        assert bag.import_errors == {}
        return FinishedDag(bag.dags[dag_id].test(run_conf=conf))

    return run
