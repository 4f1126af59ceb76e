"""Values, bookings and connections of the Redis backend, at a real server."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from redis import Redis as Client

from airflow_provider_bitscale.api.errors import ConfigurationError
from airflow_provider_bitscale.api.limit.bookings import Book, GiveBack, Refused, Told
from airflow_provider_bitscale.api.shared_state.address import limit_name, part_name
from airflow_provider_bitscale.api.shared_state.backend import MAX_VALUE_BYTES, UnavailableError
from airflow_provider_bitscale.api.shared_state.redis_backend import RedisBackend
from tests.support.certificates import self_signed
from tests.support.processes import free_port
from tests.support.redis import Redis
from tests.support.waiting import wait_until

ASK = Book(0.2, 0.2, assumed=True)


@pytest.fixture
def client(redis_server: Redis) -> Iterator[Client]:
    with redis_server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def backend(redis_server: Redis, client: Client) -> RedisBackend:
    return RedisBackend(redis_server.url)


def test_a_value_is_kept_for_its_time(backend: RedisBackend) -> None:
    assert backend.get("value") is None
    backend.put("value", b"first", 60)
    backend.put("value", b"second", 0.2)
    assert backend.get("value") == b"second"
    wait_until(lambda: backend.get("value") is None, "the value to go")


def test_a_name_is_claimed_once(backend: RedisBackend) -> None:
    assert backend.claim("name", 60)
    assert not backend.claim("name", 60)
    backend.delete("name")
    assert backend.claim("name", 0.2)
    wait_until(lambda: backend.claim("name", 60), "the claim to end")


def test_nothing_is_deleted_twice(backend: RedisBackend) -> None:
    backend.put("value", b"there", 60)
    backend.delete("value")
    backend.delete("value")
    assert backend.get("value") is None


def test_a_value_that_is_too_long_is_neither_kept_nor_loaded(
    backend: RedisBackend, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    backend.put("value", b"x" * MAX_VALUE_BYTES, 60)
    assert backend.get("value") == b"x" * MAX_VALUE_BYTES
    backend.put("long", b"x" * (MAX_VALUE_BYTES + 1), 60)
    assert client.keys("*long*") == []
    client.set("bitscale:value", b"x" * (MAX_VALUE_BYTES + 1))
    assert backend.get("value") is None
    assert "not worth believing" in caplog.text


def test_what_is_of_another_type_is_none_and_told_once(
    backend: RedisBackend, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("first", "second"):
        client.hset(f"bitscale:{name}", "a", "b")
        assert backend.get(name) is None
        assert not backend.claim(name, 60)
        backend.put(name, b"mine", 60)
        assert backend.get(name) == b"mine"
    (told,) = caplog.records
    assert "bitscale:" in told.getMessage()


def test_a_booking_is_one_round_trip(backend: RedisBackend, client: Client) -> None:
    backend.apply("limit", ASK)
    client.config_resetstat()
    for _ in range(50):
        backend.apply("limit", ASK)
    sent = {name: stats["calls"] for name, stats in client.info("commandstats").items()}
    inside = {"cmdstat_time", "cmdstat_getrange", "cmdstat_set"}
    assert {name: calls for name, calls in sent.items() if name not in inside} == {
        "cmdstat_evalsha": 50,
        "cmdstat_config|resetstat": 1,
    }
    assert client.info("clients")["connected_clients"] == 2


def test_a_script_that_the_server_has_forgotten_is_loaded_again(
    backend: RedisBackend, client: Client
) -> None:
    backend.apply("limit", ASK)
    client.script_flush()
    assert backend.apply("limit", ASK).used == 2


def test_a_connection_that_the_server_has_closed_is_opened_again(
    backend: RedisBackend, client: Client
) -> None:
    """As it does with those that were idle for long."""
    backend.apply("limit", ASK)
    assert client.client_kill_filter(_type="normal", skipme=True) == 1
    assert backend.apply("limit", ASK).used == 2


def test_no_slot_is_granted_twice_and_every_process_gets_its_part(
    redis_server: Redis, client: Client
) -> None:
    gap, processes, seconds = 0.01, 4, 2.0
    context = get_context("spawn")
    with context.Pool(processes) as pool:
        times = pool.starmap(book_for, [(redis_server.url, gap, seconds)] * processes)
    granted = [len(each) for each in times]
    everything = sorted(at for each in times for at in each)
    # While all of them were at it.
    first, last = max(each[0] for each in times), min(each[-1] for each in times)
    together = [[at for at in each if first <= at <= last] for each in times]
    assert len(everything) == len(set(everything))
    assert len(everything) <= (everything[-1] - everything[0]) / gap + 2, granted
    assert min(map(len, together)) >= 0.5 * max(map(len, together)), granted


def book_for(url: str, gap: float, seconds: float) -> list[float]:
    """Book slots of one process; return when they were granted, by the server's clock."""
    backend = RedisBackend(url)
    granted, ticket, ends = [], -1, time.monotonic() + seconds
    while time.monotonic() < ends:
        now, _, turn = backend.apply_and_tell("limit", Book(gap, 0.0, ticket=ticket))
        if turn.granted:
            granted.append(now)
        ticket = turn.ticket
        time.sleep(turn.wait)
    return granted


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_its_own_connection(backend: RedisBackend, client: Client) -> None:
    backend.apply("limit", ASK)
    child = get_context("fork").Process(target=_book_and_put, args=(backend,))
    child.start()
    for _ in range(200):
        assert backend.apply("limit", ASK).used >= 1
    child.join(timeout=60)
    assert child.exitcode == 0
    assert backend.get("from the child") == b"200"


def _book_and_put(backend: RedisBackend) -> None:
    booked = sum(backend.apply("limit", ASK).used >= 1 for _ in range(200))
    backend.put("from the child", str(booked).encode(), 60)


def test_nothing_secret_and_nothing_of_a_row_is_kept(backend: RedisBackend, client: Client) -> None:
    api_key, grid = "bsk_live_SECRET", "grid-of-a-person"
    limit = limit_name("https://api.bitscale.ai", None, api_key)
    for operation in (ASK, Told(60, 3, 30), Refused(0.1, 0.0, 0.5), GiveBack(granted=1)):
        backend.apply(limit, operation)
    backend.put(part_name(limit, "grid", grid), b"a form", 60)
    backend.claim(part_name(limit, "renew", grid), 60)
    keys = list(client.scan_iter("*"))
    assert len(keys) == 3
    for key in keys:
        assert re.fullmatch(rb"bitscale:[0-9a-f]{32}\.(?:[0-9a-f]{8}|(?:grid|renew)\.[0-9a-f]{16})", key)
        value = client.get(key)
        assert isinstance(value, bytes)
        assert re.fullmatch(rb"[0-9.e+ -]+|a form|", value)
        assert 0 < client.pttl(key) <= 86_400_000


def test_a_user_with_few_rights_and_a_database_of_its_own(redis_server: Redis, client: Client) -> None:
    commands = ["+evalsha", "+script|load", "+time", "+getrange", "+set", "+del", "+select"]
    password = "p@ss/word:#?%"
    client.acl_setuser("bit@scale", True, passwords=[f"+{password}"], keys=["bitscale:*"], commands=commands)
    url = f"redis://bit%40scale:p%40ss%2Fword%3A%23%3F%25@127.0.0.1:{redis_server.port}/3"
    backend = RedisBackend(url)
    assert backend.apply("limit", ASK).granted == 1
    backend.put("value", b"mine", 60)
    assert backend.get("value") == b"mine"
    assert backend.claim("name", 60)
    backend.delete("name")
    assert client.dbsize() == 0
    assert client.info("keyspace")["db3"]["keys"] == 2
    assert backend.scope == f"all who use database 3 of Redis at 127.0.0.1:{redis_server.port}"


def test_over_tls_with_a_certificate_of_ones_own(tmp_path: Path, redis_server: Redis) -> None:
    with Redis(self_signed(tmp_path)) as server:
        assert RedisBackend(server.url).apply("limit", ASK).granted == 1
        without, _, _ = server.url.partition("?")
        assert RedisBackend(f"{without}?ssl_cert_reqs=none").apply("limit", ASK).granted == 1
        # Nobody vouches for it, or not for that name.
        for url in (without, server.url.replace("127.0.0.1", "localhost")):
            with pytest.raises(UnavailableError, match="certificate verify failed"):
                RedisBackend(url).apply("limit", ASK)


SECRET = "s3cret-of-somebody"
AWAY: dict[str, tuple[str, str]] = {
    "a wrong password": ("redis://:{secret}@127.0.0.1:{port}/0", "AuthenticationError"),
    "a wrong user": ("redis://somebody:{secret}@127.0.0.1:{port}/0", "AuthenticationError"),
    "no password": ("redis://127.0.0.1:{port}/0", "AuthenticationError"),
    "a wrong database": ("redis://:{password}@127.0.0.1:{port}/99", "ResponseError"),
    "TLS to a plain port": ("rediss://:{secret}@127.0.0.1:{port}/0", "Error"),
    "nobody listens": ("redis://:{secret}@127.0.0.1:{free}/0", "Connection refused"),
    "no name of a host": ("redis://:{secret}@" + "h" * 70 + ":1/0", "Error"),
    "no such host": ("redis://:{secret}@nowhere.invalid:1/0", "ConnectionError"),
}


@pytest.mark.parametrize(("url", "reason"), AWAY.values(), ids=AWAY.keys())
def test_what_keeps_the_server_away_is_told_without_secrets(
    redis_server: Redis, client: Client, url: str, reason: str
) -> None:
    password = redis_server.url.split(":")[2].partition("@")[0]
    values = {"secret": SECRET, "port": redis_server.port, "free": free_port(), "password": password}
    backend = RedisBackend(url.format(**values))
    questions: tuple[Callable[[], Any], ...] = (
        lambda: backend.apply("limit", ASK),
        lambda: backend.get("value"),
        lambda: backend.put("value", b"", 60),
        lambda: backend.claim("name", 60),
        lambda: backend.delete("name"),
    )
    for question in questions:
        with pytest.raises(UnavailableError, match=reason) as raised:
            question()
        assert SECRET not in str(raised.value)
        assert password not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h/first",
        "redis://h/0?nonsense=1",
        "redis://h/0?socket_timeout=60",
        "redis://h/0?db=1",
        "redis://h/0?ssl_cert_reqs=none",
        "rediss://h/0?ssl_nonsense=1",
        "redis://h:99999999/0",
    ],
)
def test_a_url_that_cannot_be_read_is_told_without_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="shared_state_url") as raised:
        RedisBackend(url.replace("//", f"//:{SECRET}@"))
    assert SECRET not in str(raised.value)


def test_without_the_library_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"pip install airflow-provider-bitscale\[redis\]"):
        RedisBackend("redis://127.0.0.1/0")
