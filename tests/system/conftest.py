"""System tests: a real Airflow as processes. Slow, so they come last, and `-m system` picks them alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest

from tests.support.local_airflow import LocalAirflow
from tests.support.postgres import Postgres
from tests.support.redis import Redis

StartAirflow = Callable[..., LocalAirflow]

_HERE = Path(__file__).parent
# Seconds, far more than any test takes on a busy machine: waits end by themselves when nothing is new.
_HANGS = 1800.0
# Two workers take file by file: with the long ones first they end together.
_LONGEST_FIRST = (
    "test_promises",
    "test_webhooks",
    "test_harness",
    "test_screenshots",
    "test_receiver",
    "test_triggerer",
    "test_celery_batch",
    "test_shared_limit",
    "test_killed_worker",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in this folder, and put it after everything else (the hook is given all tests)."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.system)
            item.add_marker(pytest.mark.timeout(_HANGS))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if item.get_closest_marker("system") is None:
        return -1
    name = item.path.stem
    return _LONGEST_FIRST.index(name) if name in _LONGEST_FIRST else len(_LONGEST_FIRST)


@pytest.fixture
def start_airflow(tmp_path: Path) -> Iterator[StartAirflow]:
    """`start_airflow(dags_folder, **options)`: a running `LocalAirflow`, ended after the test.

    The options are `LocalAirflow`'s; `env` may be left out.
    """
    numbers = count(1)
    with ExitStack() as running:

        def start(dags_folder: Path, **options: object) -> LocalAirflow:
            home = tmp_path / f"airflow-{next(numbers)}"
            return running.enter_context(LocalAirflow(home, dags_folder, **{"env": {}, **options}))  # type: ignore[arg-type]

        yield start


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A throwaway PostgreSQL for the whole run; skips the test, saying why, where there can be none."""
    if reason := Postgres.missing_reason():
        pytest.skip(reason)
    with Postgres() as server:
        yield server


@pytest.fixture
def celery(postgres: Postgres) -> Iterator[dict[str, str]]:
    """`start_airflow(..., **celery)`: tasks run under the Celery workers named in `components`.

    With a fresh Redis and PostgreSQL database. Skips the test, saying why, where they cannot be had.
    """
    if find_spec("airflow.providers.celery") is None:
        pytest.skip("Airflow's Celery executor is not installed: apache-airflow-providers-celery")
    if reason := Redis.missing_reason():
        pytest.skip(reason)
    with Redis() as broker:
        yield {"database_url": postgres.new_database(), "broker_url": broker.url}
