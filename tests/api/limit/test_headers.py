"""What the headers of an answer say about the rate limit."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from airflow_provider_bitscale.api.limit.headers import (
    MAX_PAUSE,
    WindowHeaders,
    http_date,
    parse_retry_after,
)

NOW = 1_800_000_000.0
LIMIT, REMAINING, RESET = "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"

WINDOWS: dict[str, tuple[dict[str, str], WindowHeaders | None]] = {
    "as documented": ({LIMIT: "100", REMAINING: "99", RESET: "1800000060"}, WindowHeaders(100, 99, NOW + 60)),
    "no reset": ({LIMIT: "100", REMAINING: "99"}, WindowHeaders(100, 99, None)),
    "a limit alone": ({LIMIT: "100"}, WindowHeaders(100, None, None)),
    "what remains, alone": ({REMAINING: "0.5"}, WindowHeaders(None, 0.5, None)),
    "a reset alone": ({RESET: "1800000060"}, None),
    "nothing": ({"Date": formatdate(NOW)}, None),
    "words": ({LIMIT: "plenty", REMAINING: "many", RESET: "soon"}, WindowHeaders(None, None, None)),
    "no numbers": ({LIMIT: "-1", REMAINING: "nan", RESET: "inf"}, WindowHeaders(None, None, None)),
}


@pytest.mark.parametrize(("headers", "told"), WINDOWS.values(), ids=WINDOWS.keys())
def test_of_a_window(headers: dict[str, str], told: WindowHeaders | None) -> None:
    assert WindowHeaders.of(headers) == told


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("7", 7.0),
        ("0.25", 0.25),
        ("0", 0.0),
        ("-1", None),
        ("999999", MAX_PAUSE),
        (formatdate(NOW + 9, usegmt=True), 9.0),
        (formatdate(NOW - 9, usegmt=True), 0.0),
        (formatdate(NOW + 9999, usegmt=True), MAX_PAUSE),
    ],
)
def test_of_a_pause(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize("value", [None, "", "yesterday", "Mon, 01 Jan 99999999999999 00:00:00 GMT", "\x00"])
def test_what_is_no_date_is_none(value: str | None) -> None:
    assert http_date(value) is None
