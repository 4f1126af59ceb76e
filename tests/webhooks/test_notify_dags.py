"""Deliveries as events in Airflow's own tables: once for each run, however its end is told.

On SQLite, without processes; what several API servers do at once, on PostgreSQL: see the system tests.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.models import import_all_models
from airflow.models.asset import AssetActive, AssetAliasModel, AssetEvent, AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.models.base import Base
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, sessionmaker

from airflow_provider_bitscale.api.deliveries import Delivery
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.webhooks import airflow_internals, notify_dags
from airflow_provider_bitscale.webhooks.assets import DELIVERY, asset_name
from airflow_provider_bitscale.webhooks.notify_dags import create_submission_assets, notify_scheduled
from airflow_provider_bitscale.webhooks.outcomes import ACCEPTED, DUPLICATE, NO_SUBSCRIBERS, TOO_OLD
from airflow_provider_bitscale.webhooks.submission_events import SUBMITTED_RUNS, submitted_runs_asset

NOW = datetime.now(timezone.utc)


class Database:
    """Airflow's tables, with assets that DAGs are scheduled on."""

    def __init__(self, path: Path) -> None:
        self._sessions = sessionmaker(create_engine(f"sqlite:///{path}"))

    @contextmanager
    def session(self, **options: Any) -> Iterator[Session]:
        with self._sessions.begin() as session:
            yield session

    def schedule_on(self, *names: str) -> None:
        with self.session() as session:
            for name in names:
                session.add(AssetModel(name=name, uri=name, group="bitscale", extra={}))
                session.flush()
                session.add(AssetActive(name=name, uri=name))

    def told(self) -> list[str]:
        """The run ids of all events."""
        with self.session() as session:
            extras = session.scalars(select(AssetEvent.extra).order_by(AssetEvent.id)).all()
        return [json.loads(extra[DELIVERY])["run_id"] for extra in extras]

    def marks(self) -> set[str]:
        with self.session() as session:
            return set(session.scalars(select(AssetStateStoreModel.key)))

    def keep(self, key: str, updated_at: datetime) -> None:
        with self.session() as session:
            [asset_id] = session.scalars(select(AssetModel.id).limit(1))
            kept = AssetStateStoreModel(asset_id=asset_id, key=key, value="true", updated_at=updated_at)
            session.merge(kept)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import_all_models()  # type: ignore[no-untyped-call]
    path = tmp_path_factory.mktemp("tables") / "airflow.db"
    Base.metadata.create_all(create_engine(f"sqlite:///{path}"))
    return path


@pytest.fixture
def database(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database(Path(shutil.copy(tables, tmp_path)))
    monkeypatch.setattr(airflow_internals, "create_session", made.session)
    monkeypatch.setattr(notify_dags._DeliveredRuns, "_prune_at", 0.0)
    made.schedule_on(*(asset_name("mine", "grid_001", status) for status in ("completed", "failed")))
    return made


def test_submissions_are_expected_however_often_an_api_server_starts(database: Database) -> None:
    for _ in range(2):
        create_submission_assets(["mine", "theirs"])
    with database.session() as session:
        [alias] = session.scalars(select(AssetAliasModel))
        names = {(asset.name, asset.uri) for asset in alias.assets}
        assert alias.name == SUBMITTED_RUNS.name
    assert names == {(f"bitscale_submitted/{each}",) * 2 for each in ("mine", "theirs")}
    asset = submitted_runs_asset("mine")
    assert (asset.name, asset.uri) in names, "as tasks name it"


def delivery(run_id: str, conn_id: str = "mine", **fields: Any) -> tuple[str, Delivery]:
    payload = {"run_id": run_id, "grid_id": "grid_001", "status": "completed", "outputs": {}, **fields}
    return conn_id, Delivery(run_id, payload["grid_id"], parse_run(payload), payload)


def days_ago(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat()


ACCOUNTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the day before": ({"completed_at": days_ago(0)}, {"completed_at": days_ago(1)}),
    "a time, and none": ({"completed_at": days_ago(0)}, {}),
    "none, and a time": ({}, {"completed_at": days_ago(0)}),
    "so long ago that it would be too old": ({"completed_at": days_ago(0)}, {"completed_at": days_ago(40)}),
    "another status": ({}, {"status": "failed"}),
    "other outputs": ({}, {"outputs": {"c": 1}}),
}


@pytest.mark.parametrize(("first", "second"), ACCOUNTS.values(), ids=ACCOUNTS.keys())
def test_a_run_is_told_once_though_two_accounts_of_it_disagree(
    database: Database, first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert notify_scheduled([delivery("run_1", **first)]) == [ACCEPTED]
    assert notify_scheduled([delivery("run_1", **second)] * 2) == [DUPLICATE] * 2
    assert database.told() == ["run_1"]


def test_two_accounts_of_a_run_that_come_together_are_one_event(database: Database) -> None:
    accounts = [delivery("run_1", **each) for each in ({"completed_at": days_ago(0)}, {})]
    assert notify_scheduled(accounts) == [ACCEPTED, DUPLICATE]
    assert database.told() == ["run_1"]


def test_a_run_is_told_once_though_another_grid_is_named(database: Database) -> None:
    database.schedule_on(asset_name("mine", "grid_002", "completed"))
    assert notify_scheduled([delivery("run_1")]) == [ACCEPTED]
    assert notify_scheduled([delivery("run_1", grid_id="grid_002")]) == [DUPLICATE]
    assert notify_scheduled([delivery("run_2", grid_id="grid_002")]) == [ACCEPTED]


def test_runs_of_two_connections_that_share_an_id_are_told_each(database: Database) -> None:
    database.schedule_on(asset_name("theirs", "grid_001", "completed"))
    assert notify_scheduled([delivery("run_1"), delivery("run_1", "theirs")]) == [ACCEPTED] * 2
    assert notify_scheduled([delivery("run_1", "theirs"), delivery("run_1")]) == [DUPLICATE] * 2


def test_what_no_dag_is_scheduled_on_is_not_taken_for_told(database: Database) -> None:
    assert notify_scheduled([delivery("run_1", "theirs")]) == [NO_SUBSCRIBERS]
    assert notify_scheduled([delivery("run_1", grid_id="grid_002"), delivery("run_1")]) == [
        NO_SUBSCRIBERS,
        ACCEPTED,
    ]
    database.schedule_on(asset_name("theirs", "grid_001", "completed"))
    assert notify_scheduled([delivery("run_1", "theirs")]) == [ACCEPTED]


def test_a_run_is_remembered_for_thirty_days(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = {"run_1": days_ago(0), "run_2": days_ago(29), "run_3": days_ago(31), "run_4": None}
    ended["run_5"] = "0001-01-01T00:00:00+14:00"
    runs = [delivery(run_id, completed_at=when) for run_id, when in ended.items()]
    assert notify_scheduled(runs) == [ACCEPTED, ACCEPTED, TOO_OLD, ACCEPTED, ACCEPTED]
    assert notify_scheduled(runs) == [DUPLICATE, DUPLICATE, TOO_OLD, DUPLICATE, DUPLICATE]

    old, recent = NOW - timedelta(days=30, minutes=1), NOW - timedelta(days=29, hours=23)
    database.keep("bitscale_run_run_1", old)
    database.keep("bitscale_run_run_2", recent)
    # Not ours.
    database.keep("bitscale.run_of_somebody", old)
    assert notify_scheduled([delivery("run_6")]) == [ACCEPTED]
    assert "bitscale_run_run_1" in database.marks(), "old marks are looked for now and then"
    monkeypatch.setattr(notify_dags._DeliveredRuns, "_prune_at", 0.0)
    assert notify_scheduled([delivery("run_7")]) == [ACCEPTED]
    assert "bitscale_run_run_1" not in database.marks()
    assert {"bitscale_run_run_2", "bitscale.run_of_somebody"} <= database.marks()
