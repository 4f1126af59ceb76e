"""What is asked for: refused at parse time, refused once rendered, and told apart from another wish."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bitscale.api import InvalidRequestError
from airflow_provider_bitscale.runs.request import RunRequest, webhook_url_problems

FIELDS: dict[str, Any] = {
    "grid_id": "grid_001",
    "inputs": {"Full Name": "Jane"},
    "output_columns": None,
    "mode": "async",
    "webhook_url": None,
}


def request(**changes: Any) -> RunRequest:
    return RunRequest(**{**FIELDS, **changes})


class Reference:
    """Stands for what another task will return."""

    def __repr__(self) -> str:
        return "a reference"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mode": "sync"},
        {"inputs": {}},
        {"inputs": {"Company": None, "Size": 7, "Is": True, "Many": [1, {"a": 2.5}]}},
        {"output_columns": ["Email"]},
        {"output_columns": ("Email", "c-1")},
        {"webhook_url": "https://hooks.example.com/b"},
    ],
    ids=str,
)
def test_what_is_fine(changes: dict[str, Any]) -> None:
    for rendered in (True, False):
        assert request(**changes).problems(rendered=rendered) == []


ALWAYS: dict[str, tuple[dict[str, Any], str]] = {
    "mode": ({"mode": "later"}, "mode must be one of async, sync, not 'later'"),
    "no mode": ({"mode": None}, "mode must be one of async, sync, not None"),
    "empty grid": ({"grid_id": ""}, "grid_id must be a non-empty string, not ''"),
    "blank grid": ({"grid_id": " \n"}, "grid_id must be a non-empty string"),
    "no grid": ({"grid_id": None}, "grid_id must be a non-empty string, not None"),
    "number as grid": ({"grid_id": 7}, "grid_id must be a non-empty string, not 7"),
    "list as inputs": (
        {"inputs": ["Jane"]},
        "inputs must be a dict of column names or ids to values, not list",
    ),
    "text as inputs": ({"inputs": "Jane"}, "inputs must be a dict of column names or ids to values, not str"),
    "no inputs": ({"inputs": None}, "inputs must be a dict of column names or ids to values, not NoneType"),
    "number as key": ({"inputs": {7: "x"}}, "inputs has the key 7, which is no column name or id"),
    "empty key": ({"inputs": {" ": "x"}}, "inputs has the key ' ', which is no column name or id"),
    "text as outputs": ({"output_columns": "Email"}, "output_columns must be a list of column names or ids"),
    "dict as outputs": ({"output_columns": {"a": 1}}, "output_columns must be a list of column names or ids"),
    "number in outputs": ({"output_columns": [7]}, "output_columns must be a list of column names or ids"),
    "empty in outputs": ({"output_columns": [""]}, "output_columns must be a list of column names or ids"),
    "no outputs": ({"output_columns": []}, "output_columns is empty: leave it out to get all columns"),
    "webhook": ({"webhook_url": "http://x.example"}, "webhook_url must be an https:// URL"),
    "webhook of a sync run": (
        {"webhook_url": "https://x.example", "mode": "sync"},
        "webhook_url goes with mode='async' only: a sync run is answered directly",
    ),
}


@pytest.mark.parametrize(("changes", "problem"), ALWAYS.values(), ids=ALWAYS.keys())
@pytest.mark.parametrize("rendered", [False, True], ids=["parsed", "rendered"])
def test_what_is_wrong_is_known_at_parse_time(changes: dict[str, Any], problem: str, rendered: bool) -> None:
    (found,) = request(**changes).problems(rendered=rendered)
    assert problem in found


RENDERED: dict[str, tuple[dict[str, Any], str | None]] = {
    "template as grid": ({"grid_id": "{{ params.grid }}"}, None),
    "block as grid": ({"grid_id": "{% if a %}b{% endif %}"}, None),
    "reference as grid": ({"grid_id": Reference()}, "grid_id must be"),
    "reference as inputs": ({"inputs": Reference()}, "inputs must be a dict"),
    "template as inputs": ({"inputs": "{{ ti.xcom_pull('a') }}"}, "inputs must be a dict"),
    "reference in inputs": ({"inputs": {"a": [Reference()]}}, None),
    "template and bad key": ({"inputs": {7: "{{ ds }}"}}, "inputs has the key 7"),
    "reference as outputs": ({"output_columns": Reference()}, "output_columns must be a list"),
    "template in outputs": ({"output_columns": ["{{ a }}", ""]}, "output_columns must be a list"),
    "template as webhook": ({"webhook_url": "{{ var.value.hook }}"}, "webhook_url must be an https:// URL"),
    "reference as webhook": ({"webhook_url": Reference()}, "webhook_url must be an https:// URL"),
}


@pytest.mark.parametrize(("changes", "problem"), RENDERED.values(), ids=RENDERED.keys())
def test_what_needs_rendering_waits_for_it(changes: dict[str, Any], problem: str | None) -> None:
    assert request(**changes).problems(rendered=False) == []
    found = request(**changes).problems()
    assert [problem is not None and problem in text for text in found] == ([True] if problem else [])


def test_all_problems_are_named_at_once() -> None:
    bad = request(grid_id="", inputs=[], output_columns=[], mode="later", webhook_url="ftp://x")
    assert len(bad.problems(rendered=False)) == 5


WEBHOOKS: dict[str, str | None] = {
    "https://example.com": None,
    "https://hooks.example.com:8443/a/b?c=d": None,
    "https://xn--bcher-kva.example/": None,
    "https://8.8.8.8/": None,
    "https://[2606:4700:4700::1111]/": None,
    "http://example.com": "https",
    "HTTP://example.com": "https",
    "ftp://example.com": "https",
    "//example.com": "https",
    "example.com": "https",
    "https://": "https",
    "https:///path": "https",
    "https://[::1": "https",
    "https://example.com:port/": "https",
    "https://example.com:99999/": "https",
    "": "https",
    "https://localhost/": "publicly",
    "https://localhost./": "publicly",
    "https://LOCALHOST:8080/": "publicly",
    "https://app.localhost/": "publicly",
    "https://printer.local/": "publicly",
    "https://svc.internal/": "publicly",
    "https://intranet/": "publicly",
    "https://127.0.0.1/": "publicly",
    "https://127.1.2.3/": "publicly",
    "https://0.0.0.0/": "publicly",
    "https://10.0.0.8/": "publicly",
    "https://192.168.1.1/": "publicly",
    "https://172.16.0.1/": "publicly",
    "https://169.254.169.254/latest": "publicly",
    "https://[::1]/": "publicly",
    "https://[fe80::1]/": "publicly",
    "https://[fd00::1]/": "publicly",
    "https://[::ffff:127.0.0.1]/": "publicly",
    "https://user@localhost/": "publicly",
    "https://x.example/None": "part None",
    "https://x.example/None/hook": "part None",
    "https://x.example/a?x=None": "part None",
    "https://x.example/a?y=1&x=nan": "part None",
    "https://x.example/#/None": "part None",
    "https://None.example.com/": "part None",
    "https://x.example/None-of-it?x=None1&None=1": None,
}


@pytest.mark.parametrize(("url", "problem"), WEBHOOKS.items())
def test_webhook_urls(url: str, problem: str | None) -> None:
    found = webhook_url_problems(url)
    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]


@pytest.mark.parametrize("url", [7, True, b"https://example.com", ["https://example.com"], {}])
def test_a_webhook_url_is_text(url: Any) -> None:
    (found,) = webhook_url_problems(url)
    assert found == f"webhook_url must be an https:// URL, not {url!r}"


def fingerprint(base_url: str = "https://b", workspace_id: str | None = "ws", **changes: Any) -> str:
    return request(**changes).fingerprint(base_url, workspace_id)


CHANGES: list[dict[str, Any]] = [
    {"base_url": "https://c"},
    {"workspace_id": "ws2"},
    {"workspace_id": None},
    {"grid_id": "grid_002"},
    {"mode": "sync"},
    {"inputs": {}},
    {"inputs": {"Full Name": "John"}},
    {"inputs": {"Full Name": "Jane", "Company": None}},
    {"inputs": {"Full Name": ["Jane"]}},
    {"inputs": {"c-name": "Jane"}},
    {"output_columns": ["Email"]},
    {"output_columns": ["Email", "Phone"]},
    {"output_columns": ["Phone", "Email"]},
]


def test_another_wish_has_another_fingerprint() -> None:
    prints = [fingerprint(), *(fingerprint(**changes) for changes in CHANGES)]
    assert len({*prints}) == len(prints)


def test_the_same_wish_has_the_same_fingerprint_in_every_process() -> None:
    one = request(inputs={"a": 1, "b": {"d": [1, 2.5], "c": "é"}}, output_columns=["x"])
    other = request(
        inputs=json.loads('{"b": {"c": "\\u00e9", "d": [1, 2.5]}, "a": 1}'), output_columns=("x",)
    )
    assert one.fingerprint("u", None) == other.fingerprint("u", None)
    assert fingerprint(webhook_url="https://x.example") == fingerprint(), (
        "it changes who is told, not what is bought"
    )


@pytest.mark.parametrize(
    "inputs",
    [{"a": float("nan")}, {"a": float("inf")}, {"a": {1, 2}}, {"a": b"x"}, {"a": Reference()}, {("a",): 1}],
)
def test_inputs_that_are_not_json_have_none(inputs: Any) -> None:
    with pytest.raises(InvalidRequestError, match="inputs are not JSON"):
        fingerprint(inputs=inputs)


def test_the_fingerprint_shows_nothing_of_the_row() -> None:
    assert "Jane" not in fingerprint()
    assert all(character in "0123456789abcdef" for character in fingerprint())


def test_the_fingerprint_is_the_same_in_every_release() -> None:
    """Else each retry of a run in flight pays again: a new part may count only where it is used."""
    digest = request().fingerprint("https://api.bitscale.ai/api/v1", "ws_1")
    assert digest == "ae69a976abf68954c739b6c162cd8b9253ff148a3dd825d7b59316e8c3958285"
