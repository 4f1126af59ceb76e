"""What passes the check of a row is what BitScale takes: none is refused after others were paid for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bitscale.api.models import ColumnType
from airflow_provider_bitscale.emulator.errors import ApiError
from airflow_provider_bitscale.emulator.seed import Column, Grid
from airflow_provider_bitscale.emulator.validation import parse_run_request
from airflow_provider_bitscale.runs.column_values import misfit

VALUES: dict[str, list[Any]] = {
    "date": [
        "2024-04-15",
        "2024-04-15T12:00",
        "2024-04-15T12:00Z",
        "2024-04-15T12:00:00",
        "2024-04-15T12:00:00.5+0200",
        "2024-04-15T12:00:00+02:00",
        "2024-04-15 12:00",
        "2024-04-15t12:00:00z",
        "2024-04-15T12",
        "2024-04-15T25:00",
        "2024-04-15T12:00.5",
        "2024-04-15T12:00:00,5",
        "2024-04",
        "2024-02-30",
        "20240415",
        "2024-W16-1",
        " 2024-04-15",
        "2024-04-15\n",
        "\u0662\u0660\u0662\u0664-04-15",
    ],
    "email": [
        "a@b.test",
        "a@b",
        "a@b.",
        "a@.test",
        "@b.test",
        "a b@c.test",
        "a@b@c.test",
        "a@b.test ",
        "a@b..c",
    ],
    "url": [
        "https://a.test",
        "a.test",
        "https://",
        "ftp://a.test",
        "https://a b",
        "https://a.test\n",
        "http://[",
    ],
    "number": [1, 1.5, -1, True, "1", float("inf"), 10**30],
    "boolean": [True, False, 0, 1, "true"],
    "text": ["x", 1, True, ["x"]],
}


def emulator_takes(kind: str, value: Any) -> bool:
    column = Column(id="c", name="C", type=kind, is_input=True, is_output=False)
    body = json.dumps({"mode": "async", "inputs": {"c": value}}).encode()
    try:
        parse_run_request(Grid("g", "w", "G", None, 0, "", "", (column,)), "application/json", body)
    except ApiError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in VALUES.items() for value in values]
)
def test_what_passes_is_taken(kind: str, value: Any) -> None:
    assert misfit(ColumnType(kind), value) is not None or emulator_takes(kind, value)


# What people write beside one address, URL or date, and what is one.
FITS: list[tuple[str, str, bool]] = [
    ("email", "a@b.test", True),
    ("email", "a.b+c_d'e@b-c.co.test", True),
    ("email", "\u00e9@b\u00fccher.test", True),
    ("email", "mailto:a@b.test", False),
    ("email", "<a@b.test>", False),
    ("email", "a@b.test>", False),
    ("email", "Ada<a@b.test", False),
    ("email", "a@b.test,", False),
    ("email", "a@b.test;c", False),
    ("email", "a@b.test,c.test", False),
    ("email", "a@b.test\u200b", False),
    ("email", "a\u00ad@b.test", False),
    ("email", "a@b.test\xa0", False),
    ("email", '"a@b.test', False),
    ("email", "a@b.test?subject=x", False),
    ("email", "a@b.test/", False),
    ("email", "a@b.test(work)", False),
    ("url", "https://a.test:8443/b,c;d?e=https://f.test", True),
    ("url", "https://web.archive.test/2020/https://a.test/", True),
    ("url", "http://[::1]/", True),
    ("url", "https://b\u00fccher.test/", True),
    ("url", "https://x.com,https://y.com", False),
    ("url", "https://x.com;https://y.com", False),
    ("url", "https://x.com/,https://y.com/", False),
    ("url", "https://x.com/|http://y.com/", False),
    ("url", "https://x.com,y.com", False),
    ("url", "https://x.com\u200b", False),
    ("url", "https://x.com>", False),
    ("url", "https://x.com:port/", False),
    ("url", "https://x.com:99999/", False),
    ("date", "2024-04-15T12:00+14:00", True),
    ("date", "2024-04-15T12:00-0930", True),
    ("date", "2024-04-15T12:00+14:30", False),
    ("date", "2024-04-15T12:00+25:00", False),
    ("date", "2024-04-15T12:00-2400", False),
    ("date", "2024-04-15T12:00+01:75", False),
]


@pytest.mark.parametrize(("kind", "text", "fits"), FITS)
def test_one_address_url_or_date_fits(kind: str, text: str, fits: bool) -> None:
    assert (misfit(ColumnType(kind), text) is None) == fits
    assert not fits or emulator_takes(kind, text)


@pytest.mark.parametrize(("kind", "values"), VALUES.items(), ids=VALUES.keys())
def test_some_of_each_kind_pass(kind: str, values: list[Any]) -> None:
    assert any(misfit(ColumnType(kind), value) is None for value in values)
