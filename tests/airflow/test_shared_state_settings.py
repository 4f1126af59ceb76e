"""The settings of shared state: read from Airflow, checked with the connection, and the password masked."""

from __future__ import annotations

import asyncio
import logging
import pickle
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import redact

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api import ClientConfig
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import GRID_ID
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from tests.airflow.conftest import Connect
from tests.support.hooks import KINDS, hook_caller
from tests.support.processes import free_port

KEY = "key-0f3a9/+=c7d21e"
PASSWORD = "hunter2-of-redis"


@pytest.fixture(params=KINDS)
def config(request: pytest.FixtureRequest) -> Any:
    """Reads the configuration of a new hook, in a worker's way and in a trigger's."""
    if request.param == "sync":
        return lambda: BitScaleHook().config
    return lambda: asyncio.run(BitScaleHook().aconfig())


def set_options(monkeypatch: pytest.MonkeyPatch, **options: str) -> None:
    for name, value in options.items():
        monkeypatch.setenv(f"AIRFLOW__BITSCALE__{name.upper()}", value)


def test_they_have_defaults(config: Any, connect: Connect) -> None:
    connect(password=KEY)
    assert config() == ClientConfig(api_key=KEY)
    assert (config().shared_state_url, config().grid_cache_seconds) == (None, 300)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"shared_state_url": ""}, {}),
        ({"shared_state_url": " none\n"}, {"shared_state_url": "none"}),
        ({"shared_state_url": "file:///var/lib/state"}, {"shared_state_url": "file:///var/lib/state"}),
        (
            {"shared_state_url": f"rediss://u:{PASSWORD}@redis:6379/3"},
            {"shared_state_url": f"rediss://u:{PASSWORD}@redis:6379/3"},
        ),
        # What a command prints, a password from a vault perhaps.
        ({"shared_state_url_cmd": "echo redis://redis/1"}, {"shared_state_url": "redis://redis/1"}),
        ({"grid_cache_seconds": ""}, {}),
        ({"grid_cache_seconds": "0"}, {"grid_cache_seconds": 0}),
        ({"grid_cache_seconds": "2.5"}, {"grid_cache_seconds": 2.5}),
    ],
)
def test_they_come_from_airflow(
    options: dict[str, str],
    expected: dict[str, Any],
    config: Any,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(password=KEY)
    set_options(monkeypatch, **options)
    assert config() == ClientConfig(api_key=KEY, **expected)
    assert pickle.loads(pickle.dumps(config())) == config()


WRONG_URLS = {
    "no URL": f"http://[:{PASSWORD}@redis",
    "another kind": f"memcached://:{PASSWORD}@redis",
    "a misspelled one": f"reds://:{PASSWORD}@redis",
    "a folder of another machine": "file://server/state",
    "no host": "redis://",
    "no port": f"redis://:{PASSWORD}@redis:port/0",
    "a path": "/var/lib/state",
}


@pytest.mark.parametrize("url", WRONG_URLS.values(), ids=WRONG_URLS)
def test_a_wrong_url_is_told_by_the_name_of_the_setting_and_not_shown(
    url: str, config: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(password=KEY)
    set_options(monkeypatch, shared_state_url=url)
    with pytest.raises(api.ConfigurationError, match=r"\[bitscale\] shared_state_url ") as caught:
        config()
    assert url not in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("seconds", ["soon", "-1", "nan", "inf", "true"])
def test_a_wrong_number_is_told_by_the_name_of_the_setting(
    seconds: str, config: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(password=KEY)
    set_options(monkeypatch, grid_cache_seconds=seconds)
    with pytest.raises(api.ConfigurationError, match=r"\[bitscale\] grid_cache_seconds must be a number"):
        config()


@pytest.mark.parametrize("kind", KINDS)
def test_the_test_button_tells_all_that_is_wrong_at_once(
    kind: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(password=KEY, extra={"timeout": "late"})
    set_options(monkeypatch, shared_state_url=f"reds://:{PASSWORD}@redis", grid_cache_seconds="soon")
    good, message = hook_caller(kind)("test_connection")
    assert not good
    assert "timeout must be a number, not 'late'" in message
    assert "[bitscale] shared_state_url must be none, or begin with file://, redis:// or rediss://" in message
    assert "[bitscale] grid_cache_seconds must be a number, not 'soon'" in message
    assert PASSWORD not in message


@pytest.mark.parametrize("kind", KINDS)
def test_what_only_the_redis_library_can_tell_is_wrong_is_told_too(
    kind: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_options(monkeypatch, shared_state_url=f"redis://:{PASSWORD}@127.0.0.1/0?no_such_option=1")
    good, message = hook_caller(kind)("test_connection")
    assert not good
    assert "shared_state_url may have options that begin with ssl_, and no others" in message
    assert PASSWORD not in message


@pytest.mark.parametrize("kind", KINDS)
def test_while_redis_is_away_requests_go_on_and_its_password_is_not_told(
    kind: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_options(monkeypatch, shared_state_url=f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0")
    call = hook_caller(kind)
    with caplog.at_level(logging.INFO):
        good, message = call("test_connection")
        assert call("get_grid", GRID_ID).id == GRID_ID
    assert good, message
    assert any("is away" in record.message for record in caplog.records)
    assert PASSWORD not in caplog.text + message


def test_the_password_is_masked_and_shown_nowhere(
    config: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(password=KEY)
    set_options(monkeypatch, shared_state_url=f"redis://:{PASSWORD}@redis")
    assert PASSWORD not in repr(config())
    assert redact(f"it is {PASSWORD}") == "it is ***"
