"""The same place, spelled in another way, is not paid for again."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_bitscale.emulator import Emulator
from tests.airflow.conftest import Connect
from tests.airflow.test_run_grid_money import Task
from tests.support.clients import posted_bodies


@pytest.mark.parametrize(
    "respelled",
    [
        pytest.param({"host": "HTTP://127.0.0.1:0{port}{path}/"}, id="a URL in other case"),
        pytest.param({"host": "127.0.0.1", "port": "{port}", "schema": "HTTP"}, id="field by field"),
        pytest.param({"host": "http://127.0.0.1:{port}/%61pi/v1"}, id="a path that is quoted"),
    ],
)
def test_a_retry_collects_from_the_same_place_however_it_is_spelled(
    respelled: dict[str, Any], emulator: Emulator, connect: Connect
) -> None:
    task = Task(emulator)
    task.crash(crash_after="submitted")
    url = urlsplit(emulator.base_url)
    fields = {name: text.format(port=url.port, path=url.path) for name, text in respelled.items()}
    connect(**{**emulator.connection(), **fields})
    assert task.attempt()["status"] == "completed"
    assert len(posted_bodies(emulator)) == 1
