"""What clients count arrives at a StatsD server, by Airflow's own client; it names no grid, run or row."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from socket import AF_INET, SOCK_DGRAM, socket
from typing import Any

import pytest
from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api import metrics
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import GRID_ID
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.hooks.metrics import send_to_airflow
from tests.support.hooks import KINDS, hook_caller

# A StatsD server that is shown tags, in the way of InfluxDB.
SETTINGS = {"STATSD_ON": "True", "STATSD_INFLUXDB_ENABLED": "True", "STATSD_HOST": "127.0.0.1"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket]:
    """Where a StatsD server would listen, and Airflow's stats as a task's process sets them for it."""
    with socket(AF_INET, SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(0.2)
        for name, value in {**SETTINGS, "STATSD_PORT": str(listening.getsockname()[1])}.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__{name}", value)
        stats.initialize(factory=get_stats_factory(), export_legacy_names=True)
        yield listening
        stats.initialize(factory=NoStatsLogger, export_legacy_names=False)
        metrics.send_to(None)


def received(server: socket) -> list[str]:
    """All figures that have come, without the prefix of all of Airflow's."""
    found = []
    with suppress(TimeoutError):
        while True:
            found.append(server.recv(65_536).decode().removeprefix("airflow."))
    return found


def test_figures_have_tags_and_a_name_for_those_who_see_no_tags(server: socket) -> None:
    send_to_airflow()
    metrics.count_request("get_grids", 200)
    metrics.note_time(metrics.RATE_LIMIT_WAIT, 0.25)
    metrics.count(metrics.RATE_LIMIT_REFUSED)
    metrics.count(metrics.SHARED_STATE_ERRORS)
    assert received(server) == [
        "bitscale.requests,endpoint=get_grids,outcome=ok:1|c",
        "bitscale.requests.get_grids.ok:1|c",
        "bitscale.rate_limit.wait:250.000000|ms",
        "bitscale.rate_limit.refused:1|c",
        "bitscale.rate_limit.shared_state_errors:1|c",
    ]


def test_the_second_name_is_left_out_where_airflow_leaves_out_its_own(
    server: socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__LEGACY_NAMES_ON", "False")
    send_to_airflow()
    metrics.count_request("get_grids", None)
    assert received(server) == ["bitscale.requests,endpoint=get_grids,outcome=unanswered:1|c"]


def test_nothing_is_gathered_where_airflow_sends_nothing(
    server: socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_to_airflow()
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "False")
    send_to_airflow()
    metrics.count_request("get_grids", 200)
    assert received(server) == []


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "ok"),
        (202, "ok"),
        (302, "client_error"),
        (401, "client_error"),
        (429, "refused"),
        (500, "server_error"),
        (599, "server_error"),
        (None, "unanswered"),
    ],
)
def test_outcomes(status: int | None, outcome: str, server: socket) -> None:
    send_to_airflow()
    metrics.count_request("post_grids_grid_id_run", status)
    assert received(server)[-1] == f"bitscale.requests.post_grids_grid_id_run.{outcome}:1|c"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "fields", "outcome"),
    [
        ("status", {"status": 404, "code": "GRID_NOT_FOUND"}, "client_error"),
        ("status", {"status": 503}, "server_error"),
        ("storm", {"retry_after": 0}, "refused"),
        ("truncated", {}, "unanswered"),
    ],
)
def test_a_request_of_a_hook_is_counted_each_time_it_is_sent(
    fault: str,
    fields: dict[str, Any],
    outcome: str,
    kind: str,
    emulator: Emulator,
    server: socket,
) -> None:
    emulator.control.add_fault(fault, on="get_grid", times=1, **fields)
    with suppress(api.NotFoundError):
        hook_caller(kind)("get_grid", GRID_ID)
    figures = received(server)
    tags = "bitscale.requests,endpoint=get_grids_grid_id,outcome="
    counted = [figure for figure in figures if figure.startswith("bitscale.requests,")]
    assert counted == [f"{tags}{outcome}:1|c", f"{tags}ok:1|c"][: len(emulator.control.requests())]
    assert not any(GRID_ID in figure for figure in figures)


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_is_counted_once_and_the_wait_for_the_next_slot_is_told(
    kind: str, emulator: Emulator, server: socket
) -> None:
    emulator.control.add_fault("storm", retry_after=1, times=1)
    hook_caller(kind)("get_grid", GRID_ID)
    figures = received(server)
    assert figures.count("bitscale.rate_limit.refused:1|c") == 1
    waits = [re.fullmatch(r"bitscale\.rate_limit\.wait:([\d.]+)\|ms", figure) for figure in figures]
    assert 0 < sum(float(wait[1]) for wait in waits if wait) < 30_000


def test_a_request_that_is_given_up_is_counted_too(emulator: Emulator, server: socket) -> None:
    async def give_up() -> None:
        emulator.control.add_fault("latency", seconds=5)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(BitScaleHook().aget_grid(GRID_ID), 0.5)

    asyncio.run(give_up())
    assert "bitscale.requests.get_grids_grid_id.unanswered:1|c" in received(server)


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_that_cannot_be_sent_break_no_request_and_are_told_once(
    kind: str,
    emulator: Emulator,
    server: socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(NoStatsLogger):
        @classmethod
        def incr(cls, *_: object, **__: object) -> None:
            raise OverflowError("no such metric")

    stats.initialize(factory=Broken, export_legacy_names=False)
    monkeypatch.setattr(metrics, "_has_told", False)
    call = hook_caller(kind)
    with caplog.at_level(logging.WARNING):
        assert [call("get_grid", GRID_ID).id for _ in range(2)] == [GRID_ID] * 2
    assert [record.message for record in caplog.records if "no such metric" in record.message] == [
        "Metrics are lost: OverflowError: no such metric"
    ]
