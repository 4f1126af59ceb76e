"""What clients count arrives at a StatsD server, by Airflow's own client; it names no grid, run or row."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from contextlib import suppress
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
from tests.support.statsd import StatsD


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsD]:
    """A StatsD server that is shown tags in the way of InfluxDB, and Airflow's stats as a task sets them."""
    with StatsD() as listening:
        for name, value in {**listening.env, "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True"}.items():
            monkeypatch.setenv(name, value)
        stats.initialize(factory=get_stats_factory(), export_legacy_names=True)
        yield listening
        stats.initialize(factory=NoStatsLogger, export_legacy_names=False)
        metrics.send_to(None)


def test_figures_have_tags_and_a_name_for_those_who_see_no_tags(server: StatsD) -> None:
    send_to_airflow()
    metrics.count_request("get_grids", 200)
    metrics.note_time(metrics.RATE_LIMIT_WAIT, 0.25)
    metrics.count(metrics.RATE_LIMIT_REFUSED)
    metrics.count(metrics.SHARED_STATE_ERRORS)
    assert server.received() == [
        "bitscale.requests,endpoint=get_grids,outcome=ok:1|c",
        "bitscale.requests.get_grids.ok:1|c",
        "bitscale.rate_limit.wait:250.000000|ms",
        "bitscale.rate_limit.refused:1|c",
        "bitscale.rate_limit.shared_state_errors:1|c",
    ]


def test_the_second_name_is_left_out_where_airflow_leaves_out_its_own(
    server: StatsD, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__LEGACY_NAMES_ON", "False")
    send_to_airflow()
    metrics.count_request("get_grids", None)
    assert server.received() == ["bitscale.requests,endpoint=get_grids,outcome=unanswered:1|c"]


def test_nothing_is_gathered_where_airflow_sends_nothing(
    server: StatsD, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_to_airflow()
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "False")
    send_to_airflow()
    metrics.count_request("get_grids", 200)
    assert server.received() == []


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
def test_outcomes(status: int | None, outcome: str, server: StatsD) -> None:
    send_to_airflow()
    metrics.count_request("post_grids_grid_id_run", status)
    assert server.received()[-1] == f"bitscale.requests.post_grids_grid_id_run.{outcome}:1|c"


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
    server: StatsD,
) -> None:
    emulator.control.add_fault(fault, on="get_grid", times=1, **fields)
    with suppress(api.NotFoundError):
        hook_caller(kind)("get_grid", GRID_ID)
    figures = server.received()
    tags = "bitscale.requests,endpoint=get_grids_grid_id,outcome="
    counted = [figure for figure in figures if figure.startswith("bitscale.requests,")]
    assert counted == [f"{tags}{outcome}:1|c", f"{tags}ok:1|c"][: len(emulator.control.requests())]
    assert not any(GRID_ID in figure for figure in figures)


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_is_counted_once_and_the_wait_for_the_next_slot_is_told(
    kind: str, emulator: Emulator, server: StatsD
) -> None:
    emulator.control.add_fault("storm", retry_after=1, times=1)
    hook_caller(kind)("get_grid", GRID_ID)
    figures = server.received()
    assert figures.count("bitscale.rate_limit.refused:1|c") == 1
    waits = [re.fullmatch(r"bitscale\.rate_limit\.wait:([\d.]+)\|ms", figure) for figure in figures]
    assert 0 < sum(float(wait[1]) for wait in waits if wait) < 30_000


def test_a_request_that_is_given_up_is_counted_too(emulator: Emulator, server: StatsD) -> None:
    async def give_up() -> None:
        emulator.control.add_fault("latency", seconds=5)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(BitScaleHook().aget_grid(GRID_ID), 0.5)

    asyncio.run(give_up())
    assert "bitscale.requests.get_grids_grid_id.unanswered:1|c" in server.received()


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_that_cannot_be_sent_break_no_request_and_are_told_once(
    kind: str,
    emulator: Emulator,
    server: StatsD,
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
