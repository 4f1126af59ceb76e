"""Bodies of "Run a Grid" and what the API says to them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bitscale.emulator.errors import ApiError
from airflow_provider_bitscale.emulator.seed import (
    COMPANY,
    EMPLOYEES,
    ENRICHED_EMAIL,
    FULL_NAME,
    GRIDS,
    IS_CUSTOMER,
    KNOWN_EMAIL,
    LABEL,
    LAST_CONTACT,
    WEBSITE,
    Grid,
)
from airflow_provider_bitscale.emulator.validation import (
    ValidRunRequest,
    is_public_https_url,
    parse_labelled_run_request,
    parse_run_request,
)

GRID = GRIDS[0]
NAME = {FULL_NAME: "Jane"}


def parse(body: Any, content_type: str | None = "application/json") -> ValidRunRequest:
    return parse_run_request(
        GRID, content_type, body if isinstance(body, bytes) else json.dumps(body).encode()
    )


def refusal(body: Any, content_type: str | None = "application/json") -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        parse(body, content_type)
    return caught.value.status, caught.value.code


def test_defaults() -> None:
    assert parse({"inputs": NAME}) == ValidRunRequest("sync", NAME, None, None)


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "json"]
)
def test_the_content_type_must_be_json(content_type: str | None) -> None:
    assert refusal({"inputs": NAME}, content_type) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_the_content_type_may_carry_parameters(content_type: str) -> None:
    assert parse({"inputs": NAME}, content_type).inputs == NAME


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"", (400, "INVALID_REQUEST")),
        (b"{", (400, "INVALID_REQUEST")),
        (b"\xff\xfe\x00", (400, "INVALID_REQUEST")),
        (b"[" * 100_000, (400, "INVALID_REQUEST")),
        (b'{"inputs": {"x": NaN}}', (400, "INVALID_REQUEST")),
        (b'{"inputs": {"x": ' + b"9" * 10_000 + b"}}", (400, "INVALID_REQUEST")),
        ([], (400, "INVALID_REQUEST")),
        (None, (400, "INVALID_REQUEST")),
        ({"inputs": NAME, "mode": "batch"}, (400, "INVALID_REQUEST")),
        ({"inputs": NAME, "mode": None}, (400, "INVALID_REQUEST")),
        ({"inputs": NAME, "mode": ["sync"]}, (400, "INVALID_REQUEST")),
        ({}, (400, "MISSING_REQUIRED_FIELD")),
        ({"inputs": None}, (400, "MISSING_REQUIRED_FIELD")),
        ({"inputs": []}, (400, "INVALID_REQUEST")),
        ({"inputs": {}}, (400, "MISSING_REQUIRED_FIELD")),
        ({"inputs": {FULL_NAME: None}}, (400, "MISSING_REQUIRED_FIELD")),
        ({"inputs": {FULL_NAME: ""}}, (400, "MISSING_REQUIRED_FIELD")),
        ({"inputs": {FULL_NAME: " \t"}}, (400, "MISSING_REQUIRED_FIELD")),
        ({"inputs": {**NAME, "no-such-column": 1}}, (422, "UNKNOWN_COLUMN")),
        ({"inputs": {**NAME, "Company": "by name"}}, (422, "UNKNOWN_COLUMN")),
        ({"inputs": {**NAME, ENRICHED_EMAIL: "x"}}, (422, "UNKNOWN_COLUMN")),
        ({"inputs": {**NAME, LABEL: "x"}}, (422, "UNKNOWN_COLUMN")),
        ({"inputs": NAME, "output_columns": ["nope"]}, (422, "UNKNOWN_COLUMN")),
        ({"inputs": NAME, "output_columns": None}, (400, "INVALID_REQUEST")),
        ({"inputs": NAME, "output_columns": ENRICHED_EMAIL}, (400, "INVALID_REQUEST")),
        ({"inputs": NAME, "output_columns": [1]}, (400, "INVALID_REQUEST")),
    ],
)
def test_bodies_that_are_refused(body: Any, answer: tuple[int, str]) -> None:
    assert refusal(body) == answer


@pytest.mark.parametrize(
    ("column", "good", "bad"),
    [
        (COMPANY, ["Acme", "", "0"], [1, True, [], {}]),
        (EMPLOYEES, [0, -1, 2.5, 10**400], ["1", True, []]),
        (
            WEBSITE,
            ["https://a.b/c?d", "http://localhost"],
            ["a.b", "ftp://a.b", "https://", "http://[", "", 1],
        ),
        (
            KNOWN_EMAIL,
            ["a@b.co", "x.y+z@sub.b.co"],
            ["a", "a@b", "@b.co", "a b@c.de", "a@b@c.de", "a@b..de", 1],
        ),
        (
            LAST_CONTACT,
            ["2024-02-29", "2024-04-15T12:00:00Z", "2024-04-15T12:00", "2024-04-15T12:00:00.123+02:00"],
            ["2023-02-29", "15.04.2024", "20240415", "2024-04-15T25:00:00Z", "2024-04-15 12:00", "today", 1],
        ),
        (IS_CUSTOMER, [True, False], ["true", 0, 1, []]),
    ],
)
def test_column_types(column: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert parse({"inputs": {**NAME, column: value}}).inputs[column] == value
    for value in bad:
        assert refusal({"inputs": {**NAME, column: value}}) == (422, "INVALID_COLUMN_TYPE"), value
    assert column not in parse({"inputs": {**NAME, column: None}}).inputs


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://your-server.com/webhooks/bitscale", True),
        ("https://your-server.com:8443/x?y=1", True),
        ("https://93.184.215.14/x", True),
        ("http://your-server.com/", False),
        ("ftp://your-server.com/", False),
        ("your-server.com", False),
        ("", False),
        ("https://", False),
        ("https://localhost/", False),
        ("https://LOCALHOST./", False),
        ("https://api.localhost/", False),
        ("https://127.0.0.1/", False),
        ("https://[::1]/", False),
        ("https://10.0.0.8/", False),
        ("https://192.168.1.1/", False),
        ("https://169.254.169.254/", False),
        ("https://intranet/", False),
        ("https://box.local/", False),
        ("https://svc.internal/", False),
        ("https://your-server.com:port/", False),
        ("https://[broken/", False),
    ],
)
def test_webhook_addresses(url: str, public: bool) -> None:
    assert is_public_https_url(url) is public
    body = {"inputs": NAME, "mode": "async", "webhook_url": url}
    if public:
        assert parse(body).webhook_url == url
    else:
        assert refusal(body) == (422, "WEBHOOK_DELIVERY_FAILED")


def test_a_webhook_is_ignored_in_sync_mode_and_must_be_text_in_async_mode() -> None:
    assert parse({"inputs": NAME, "webhook_url": "http://localhost"}).webhook_url is None
    assert refusal({"inputs": NAME, "mode": "async", "webhook_url": 1}) == (400, "INVALID_REQUEST")


def parse_labelled(
    body: Any, grid: Grid = GRID, content_type: str | None = "application/json"
) -> ValidRunRequest:
    return parse_labelled_run_request(
        grid, content_type, body if isinstance(body, bytes) else json.dumps(body).encode()
    )


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ({}, {}),
        ({"full_name": "Jane", "is_customer": "no"}, {FULL_NAME: "Jane", IS_CUSTOMER: "no"}),
        ({"full_name": "", "company": None}, {FULL_NAME: ""}),
        ({"Full Name": "Jane", "fullname": "Jane", "FULL_NAME": "Jane"}, {}),
        ({FULL_NAME: "Jane", ENRICHED_EMAIL: "x", "enriched_email": "x", "label": "x"}, {}),
        (
            {"employees": 12, "website": True, "known_email": ["a"]},
            {EMPLOYEES: "12", WEBSITE: "true", KNOWN_EMAIL: '["a"]'},
        ),
    ],
)
def test_inputs_by_label_are_texts_and_what_is_no_label_is_dropped(
    given: dict[str, Any], inputs: dict[str, Any]
) -> None:
    assert parse_labelled({"inputs": given}) == ValidRunRequest("sync", inputs, None, None)


def test_columns_of_one_name_have_labels_of_their_own() -> None:
    one, other = (column.id for column in GRIDS[1].columns if column.name == "Contact")
    inputs = {"domain": "acme.com", "contact": "a", "contact_2": "b"}
    assert {one: "a", other: "b"}.items() <= parse_labelled({"inputs": inputs}, GRIDS[1]).inputs.items()


def test_a_webhook_and_a_source_are_ignored_with_inputs_by_label() -> None:
    body = {"inputs": {}, "mode": "async", "webhook_url": "nonsense", "source_id": 5}
    assert parse_labelled(body) == ValidRunRequest("async", {}, None, None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "INVALID_REQUEST"),
        ([], "INVALID_REQUEST"),
        ({}, "MISSING_REQUIRED_FIELD"),
        ({"inputs": None}, "MISSING_REQUIRED_FIELD"),
        ({"inputs": ["full_name"]}, "INVALID_REQUEST"),
        ({"inputs": {}, "mode": "batch"}, "INVALID_REQUEST"),
        ({"inputs": {}, "output_columns": "x"}, "INVALID_REQUEST"),
        ({"inputs": {}, "output_columns": ["enriched_email"]}, "UNKNOWN_COLUMN"),
    ],
)
def test_bodies_that_are_refused_with_inputs_by_label(body: Any, code: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_labelled(body)
    assert (refused.value.status, refused.value.code) == (400, code)
