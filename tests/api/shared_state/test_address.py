"""URLs of shared state, and the names in it."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.api.shared_state.address import limit_name, part_name, url_problem, url_secrets

URL = "https://api.bitscale.ai/api/v1"


@pytest.mark.parametrize(
    "url",
    [
        None,
        "none",
        "file:///var/lib/airflow/bitscale",
        "file:///with%20space",
        "redis://host",
        "redis://:word@host:6379/1",
        "rediss://user:word@host/0?ssl_ca_certs=/ca.pem",
        "redis://[::1]:6379/0",
    ],
)
def test_a_url(url: str | None) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "must be none"),
        ("None", "must be none"),
        ("/var/lib/airflow", "must be none"),
        ("http://host", "must be none"),
        ("file://host/folder", "must name a folder"),
        ("file:folder", "must name a folder"),
        ("file:///", "must name a folder"),
        ("file:///%2F/a%00b", "must name a folder"),
        ("redis:///0", "names no host"),
        ("redis://host:port/0", "is not a URL"),
        ("redis://[host/0", "is not a URL"),
    ],
)
def test_what_is_no_url(url: str, problem: str) -> None:
    assert problem in str(url_problem(url))


def test_no_problem_tells_a_password() -> None:
    assert "word" not in str(url_problem("redis://:word@host:port/0"))


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        (None, ()),
        ("none", ()),
        ("file:///folder", ()),
        ("redis://host", ()),
        ("redis://user@host", ()),
        ("redis://:word@host", ("word",)),
        ("redis://:w%40rd@host", ("w%40rd", "w@rd")),
        ("rediss://:word@host/0?ssl_password=%40&ssl_keyfile=/key.pem", ("word", "%40", "@")),
    ],
)
def test_the_secrets_of_a_url(url: str | None, secrets: tuple[str, ...]) -> None:
    assert url_secrets(url) == secrets


def test_a_limit_is_that_of_a_workspace_whatever_the_key() -> None:
    assert limit_name(URL, "ws_1", "key_1") == limit_name(URL, "ws_1", "key_2")


def test_no_two_limits_have_one_name() -> None:
    names = [
        limit_name(URL, "ws_1", "key_1"),
        limit_name(URL, "ws_2", "key_1"),
        limit_name(f"{URL}/", "ws_1", "key_1"),
        limit_name(URL, None, "key_1"),
        limit_name(URL, None, "key_2"),
        limit_name(URL, None, "ws_1"),
        limit_name(f"{URL}\nws_1", None, "key_1"),
    ]
    assert len(set(names)) == len(names)


def test_names_tell_nothing_and_are_names_of_files() -> None:
    limit = limit_name(URL, None, "key_1")
    part = part_name(limit, "form", "../grid/1")
    assert "key_1" not in limit
    assert "grid" not in part
    assert part.startswith(f"{limit}.form.")
    assert all(set(name) <= set("0123456789abcdefghijklmnopqrstuvwxyz.") for name in (limit, part))
    assert part != part_name(limit, "form", "../grid/2")
    assert part != part_name(limit_name(URL, None, "key_2"), "form", "../grid/1")
