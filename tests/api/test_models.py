"""From BitScale's JSON to records: as documented, and where it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_bitscale.api import models, parsing
from airflow_provider_bitscale.api.contracts.workspace_key_parsing import parse_grids as parse_keyed_grids
from airflow_provider_bitscale.api.models import ColumnType, RunStatus
from tests.support import documents as doc


def utc(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=timezone.utc)  # type: ignore[arg-type, misc]


def test_the_documented_user() -> None:
    user = parsing.parse_user(doc.USER)
    assert user == models.User(
        id="usr_abc123",
        name="Jane Doe",
        email="jane.doe@company.com",
        avatar_url="https://cdn.bitscale.ai/avatars/usr_abc123.png",
        created_at=utc(2024, 1, 15, 8, 30),
        plan="enterprise",
        raw=doc.USER,
    )


def test_the_documented_list_of_workspaces() -> None:
    sales, marketing = parsing.parse_workspaces(doc.WORKSPACES)
    assert (sales.id, sales.name, sales.role, sales.members) == (
        "ws_abc123",
        "Acme Corp — Sales",
        "admin",
        models.Members(12, None, None, None),
    )
    assert (marketing.role, marketing.created_at) == ("member", utc(2024, 3, 10, 14, 20))
    assert (sales.credits, sales.plan, sales.created_by) == (None, None, None)


def test_the_documented_workspace() -> None:
    workspace = parsing.parse_workspace(doc.WORKSPACE)
    assert workspace.credits == models.Credits(100000, 34200, 65800)
    assert workspace.plan == models.Plan("Enterprise", 100000, utc(2026, 4, 1))
    assert workspace.created_by is not None
    assert workspace.created_by.email == "jane.doe@company.com"
    assert (workspace.members, workspace.role) == (models.Members(12, None, 2, None), None)


def test_the_documented_list_of_grids() -> None:
    (grid,) = parsing.parse_grids(doc.GRIDS).grids
    assert (grid.id, grid.row_count, grid.column_count) == ("grid_001", 1500, 12)
    assert (grid.settings, grid.columns) == (None, ())


def test_the_documented_grid() -> None:
    grid = parsing.parse_grid(doc.GRID)
    assert grid.settings == models.GridSettings(5000, False, "workspace")
    assert (grid.created_at, grid.updated_at) == (utc(2024, 4, 1, 9), utc(2024, 4, 15, 11, 30))
    assert [(c.id, c.name, c.type, c.is_input, c.is_output, c.required) for c in grid.columns] == [
        (doc.FULL_NAME, "Full Name", ColumnType.TEXT, True, False, True),
        (doc.COMPANY, "Company", ColumnType.TEXT, True, False, False),
        (doc.EMAIL, "Enriched Email", ColumnType.AI_ENRICHMENT, False, True, False),
    ]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param(doc.SYNC_RUN, {"mode": "sync", "run_id": None, "started_at": None}, id="sync"),
        pytest.param(
            doc.POLLED_RUN,
            {"mode": None, "run_id": "run_xyz789", "completed_at": utc(2024, 4, 15, 12, 0, 4)},
            id="poll",
        ),
        pytest.param(doc.WEBHOOK_RUN, {"grid_id": "grid_001", "run_id": "run_xyz789"}, id="webhook"),
    ],
)
def test_the_documented_completed_runs(payload: dict[str, Any], expected: dict[str, Any]) -> None:
    run = parsing.parse_run(payload)
    assert run.status is RunStatus.COMPLETED
    assert run.outputs == payload["outputs"]
    assert run.credits == models.RunCredits(12, 65788)
    assert {name: getattr(run, name) for name in expected} == expected


def test_the_documented_accepted_run() -> None:
    run = parsing.parse_run(doc.ACCEPTED_RUN)
    assert (run.mode, run.run_id, run.status) == ("async", "run_xyz789", RunStatus.QUEUED)
    assert (run.outputs, run.credits, run.error) == (None, None, None)
    assert not hasattr(run, "poll_url")


PARSERS: dict[str, tuple[Callable[[Any], Any], dict[str, Any], set[str]]] = {
    "user": (parsing.parse_user, doc.USER, {"id"}),
    "workspace listed": (parsing.parse_workspace, doc.WORKSPACES["workspaces"][0], {"id"}),
    "workspace": (parsing.parse_workspace, doc.WORKSPACE, {"id"}),
    "grid listed": (parsing.parse_grid, doc.GRIDS["grids"][0], {"id"}),
    "grid": (parsing.parse_grid, doc.GRID, {"id"}),
    "run": (parsing.parse_run, {**doc.WEBHOOK_RUN, "mode": "async"}, {"status"}),
}
OPTIONAL = [
    pytest.param(parse, payload, name, id=f"{record}.{name}")
    for record, (parse, payload, required) in PARSERS.items()
    for name in payload
    if name not in required
]
EMPTY: set[Any] = {None, ()}


@pytest.mark.parametrize(("parse", "payload", "name"), OPTIONAL)
def test_an_optional_field_may_be_absent_null_or_of_another_type(
    parse: Callable[[Any], Any], payload: dict[str, Any], name: str
) -> None:
    whole = parse(payload)
    absent = {key: value for key, value in payload.items() if key != name}
    expected = parse(absent)
    read = [field.name for field in fields(whole) if field.compare]
    lost = [field for field in read if getattr(whole, field) != getattr(expected, field)]
    assert lost, "the field is not read at all"
    assert all(getattr(expected, field) in EMPTY for field in lost)
    assert parse({**payload, name: None}) == expected
    if name not in ("columns", "error"):
        wrong = {**payload, name: [1] if not isinstance(payload[name], list) else "text"}
        assert parse(wrong) == expected
        assert parse(wrong).raw == wrong


@pytest.mark.parametrize(
    ("parse", "payload", "required"),
    [pytest.param(*case[:2], next(iter(case[2])), id=record) for record, case in PARSERS.items()],
)
@pytest.mark.parametrize("value", [None, "", 7.5, ["x"]], ids=["null", "empty", "number", "list"])
def test_a_record_without_what_makes_it_one_is_refused(
    parse: Callable[[Any], Any], payload: dict[str, Any], required: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=f"'{required}' is missing"):
        parse({**payload, "credits": None, required: value})


@pytest.mark.parametrize(
    ("parse", "payload"), [pytest.param(*c[:2], id=r) for r, c in PARSERS.items() if r != "run"]
)
def test_a_record_may_be_wrapped_and_have_a_number_for_an_id(
    parse: Callable[[Any], Any], payload: dict[str, Any]
) -> None:
    assert parse({"success": True, "data": payload}) == parse(payload)
    assert parse({**payload, "id": 7}).id == "7"


def test_credits_are_read_without_the_id_of_the_workspace() -> None:
    for wrapped in (False, True):
        payload = {key: value for key, value in doc.WORKSPACE.items() if key != "id"}
        workspace = parsing.parse_workspace({"data": payload} if wrapped else payload)
        assert (workspace.id, workspace.credits) == ("", parsing.parse_workspace(doc.WORKSPACE).credits)


ODD_ITEMS: list[Any] = [None, "grid", 7, {}, {"id": None}, {"name": "without an id"}, {"id": [1]}]


@pytest.mark.parametrize("wrap", [lambda items: {"grids": items}, lambda items: {"data": items}])
@pytest.mark.parametrize("odd", ODD_ITEMS)
def test_an_odd_item_of_a_list_is_left_out(wrap: Callable[[Any], Any], odd: Any) -> None:
    whole = parsing.parse_grids(doc.GRIDS).grids
    assert parsing.parse_grids(wrap([odd, *doc.GRIDS["grids"]])).grids == whole
    assert parse_keyed_grids(wrap([odd, *doc.GRIDS["grids"]])).grids == whole
    columns = parsing.parse_grid({**doc.GRID, "columns": [*doc.GRID["columns"], odd]}).columns
    assert columns == parsing.parse_grid(doc.GRID).columns
    for parse in (parsing.parse_grids, parse_keyed_grids):
        with pytest.raises(ValueError):  # noqa: PT011 - each in its own words
            parse(wrap([odd]))


@pytest.mark.parametrize(("parse", "payload"), [pytest.param(*c[:2], id=r) for r, c in PARSERS.items()])
def test_unknown_fields_break_nothing_and_are_kept(
    parse: Callable[[Any], Any], payload: dict[str, Any]
) -> None:
    extended = {**payload, "since_1_2": {"a": [1]}}
    assert parse(extended) == parse(payload)
    assert parse(extended).raw["since_1_2"] == {"a": [1]}
    assert "since_1_2" not in repr(parse(extended))


def test_unknown_values_break_nothing_and_are_kept() -> None:
    run = parsing.parse_run({"status": "paused", "run_id": "r"})
    assert (run.status, run.status.is_terminal, run.raw["status"]) == (RunStatus.UNKNOWN, False, "paused")
    for unknown in ("currency", None, ["text"], {"a": 1}):
        (column,) = parsing.parse_grid({"id": "g", "columns": [{"id": "c", "type": unknown}]}).columns
        assert (column.type, column.raw["type"]) == (ColumnType.UNKNOWN, unknown)


def test_only_completed_and_failed_are_the_end_of_a_run() -> None:
    assert {status for status in RunStatus if status.is_terminal} == {RunStatus.COMPLETED, RunStatus.FAILED}


@pytest.mark.parametrize("payload", [None, [], "text", 7, True], ids=repr)
@pytest.mark.parametrize("parse", [case[0] for case in PARSERS.values()])
def test_what_is_no_object_is_refused(parse: Callable[[Any], Any], payload: Any) -> None:
    with pytest.raises(ValueError, match="expected a JSON object"):
        parse(payload)


@pytest.mark.parametrize(
    "payload", [{}, {"workspaces": None, "grids": None}, {"workspaces": {}, "grids": {}}], ids=repr
)
def test_a_list_that_is_none_is_refused(payload: dict[str, Any]) -> None:
    for parse in (parsing.parse_workspaces, parsing.parse_grids):
        with pytest.raises(ValueError, match="expected a list"):
            parse(payload)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-04-15T12:00:04Z", utc(2024, 4, 15, 12, 0, 4)),
        ("2024-04-15T12:00:04z", utc(2024, 4, 15, 12, 0, 4)),
        ("2024-04-15T12:00:04.250000Z", datetime(2024, 4, 15, 12, 0, 4, 250000, tzinfo=timezone.utc)),
        ("2024-04-15T12:00:04+02:00", datetime(2024, 4, 15, 12, 0, 4, tzinfo=timezone(timedelta(hours=2)))),
        ("2024-04-15T12:00:04", utc(2024, 4, 15, 12, 0, 4)),
        ("yesterday", None),
        ("2024-13-45T00:00:00Z", None),
        ("Z", None),
        ("", None),
    ],
)
def test_times_are_aware_or_none(text: str, expected: datetime | None) -> None:
    moment = parsing.parse_user({"id": "u", "created_at": text}).created_at
    assert moment == expected
    assert moment is None or moment.tzinfo is not None


@pytest.mark.parametrize("figure", ["NaN", "Infinity", "-Infinity", "1e999", "true", '"12"', "[]"])
def test_a_figure_that_is_no_number_is_none(figure: str) -> None:
    # Python's json reads more than JSON: none of it may become an amount of credits, or an OverflowError.
    payload = json.loads(f'{{"id": "w", "credits": {{"remaining": {figure}}}, "member_count": {figure}}}')
    workspace = parsing.parse_workspace(payload)
    assert (workspace.credits, workspace.members) == (models.Credits(None, None, None), None)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("out of luck", "out of luck"),
        ({"code": "RUN_FAILED", "message": "no luck"}, "RUN_FAILED: no luck"),
        ({"message": "no luck"}, "no luck"),
        ({"reason": "x"}, "{'reason': 'x'}"),
        (["a"], "['a']"),
        (None, None),
    ],
)
def test_the_error_of_a_failed_run_is_text_whatever_its_shape(error: Any, text: str | None) -> None:
    assert parsing.parse_run({"status": "failed", "error": error}).error == text


def test_records_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        parsing.parse_run(doc.SYNC_RUN).status = RunStatus.FAILED  # type: ignore[misc]


AMOUNTS: dict[str, tuple[object, float | None]] = {
    "whole": (3, 3),
    "with a fraction": (0.5, 0.5),
    "none at all": (0, 0),
    "as text": ("3", 3),
    "as text, with a fraction": (" 0.5 ", 0.5),
    "negative": (-1, None),
    "negative, as text": ("-1", None),
    "beyond all bounds": (1e308, None),
    "beyond all bounds, as text": ("9" * 30, None),
    "no number": ("a lot", None),
    "in other digits": ("\u0663", None),
    "true": (True, None),
    "null": (None, None),
}


@pytest.mark.parametrize(("told", "cost"), AMOUNTS.values(), ids=AMOUNTS.keys())
def test_what_a_run_cost_is_an_amount_that_can_be_spent_or_not_known(
    told: object, cost: float | None
) -> None:
    credits = parsing.parse_run(
        {"status": "completed", "credits": {"consumed": told, "remaining": "-5"}}
    ).credits
    assert credits is not None
    assert (credits.consumed, credits.remaining) == (cost, -5)
