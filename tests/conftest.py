"""What all tests share: an Airflow of their own in a temporary folder, and system tests at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from itertools import count

import pytest

# Airflow reads its settings while it is imported, so this happens here and not in a fixture. Nothing of the
# developer's own Airflow may reach the tests, and nothing of theirs may reach it.
for _name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[_name]
_HOME = tempfile.mkdtemp(prefix="bitscale-tests-")
os.environ.update(
    {
        "AIRFLOW_HOME": _HOME,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME}/airflow.db",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # An environment with a proxy in it must not stand between a test and its emulator.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
)

# Only now: what is imported before reads the developer's own settings.
from airflow_provider_bitscale.api.shared_state import location, private_folder  # noqa: E402
from airflow_provider_bitscale.runs import polling  # noqa: E402

_numbers = count()
# For what is not of one test, such as a fixture of the session.
private_folder.gettempdir = lambda: f"{_HOME}/shared"  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _own_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """What batches keep on this machine, and tests that let them die do not collect."""
    monkeypatch.setattr("airflow_provider_bitscale.batch.store.sent_log.gettempdir", lambda: _HOME)


@pytest.fixture(autouse=True)
def _own_shared_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """What processes share, in a folder that is made at first use: nothing from one test to the next."""
    folder = f"{_HOME}/shared-{next(_numbers)}"
    monkeypatch.setattr(private_folder, "gettempdir", lambda: folder)
    monkeypatch.setattr(location, "_states", {})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow system tests after all others, each group in its own order."""
    items.sort(key=lambda item: item.get_closest_marker("system") is not None)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe at once what is else believed only when it has lasted for a while, minutes perhaps."""
    for patience in ("NOT_FOUND_SECONDS", "UNAUTHORIZED_SECONDS", "UNREADABLE_SECONDS"):
        monkeypatch.setattr(polling, patience, 0.0)


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(_HOME, ignore_errors=True)
