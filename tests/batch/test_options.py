"""What is wrong with the options of a batch, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.batch.options import (
    MAX_SEGMENT_SIZE,
    BatchOptions,
    allowed_failures,
    failures_to_go_on_with,
)

BATCH: dict[str, Any] = {
    "grid_id": "g",
    "rows": [],
    "rows_path": None,
    "retry_failed_from": None,
    "collect_unknown_from": None,
    "output_columns": None,
    "mode": "async",
    "webhook_url": None,
    "bitscale_conn_id": "bitscale_default",
    "input_fields": None,
    "trust_webhook": False,
    "row_key": None,
    "on_ambiguous_submit": "park",
    "fail_when_incomplete": True,
    "run_timeout": 3600,
    "null_values": None,
    "miss_values": (),
    "max_credits": None,
    "max_failed_rows": 0,
    "max_in_flight": None,
    "batch_timeout": None,
    "segment_size": 500,
    "output_path": None,
    "output_format": "jsonl",
    "csv_escape_formulas": False,
}
FINE_BATCH: list[dict[str, Any]] = [
    {},
    {"rows": None, "rows_path": "a.csv"},
    {"output_path": "file:///enriched", "output_format": "csv"},
    {"max_failed_rows": "10%", "max_in_flight": 1, "segment_size": 1, "batch_timeout": 0.5},
    {"max_credits": 0, "segment_size": MAX_SEGMENT_SIZE, "on_ambiguous_submit": "resubmit"},
    {"max_credits": "1200.5"},
    {"input_fields": {"Full Name": "name"}, "row_key": "email"},
    {"row_key": ["name", "company"]},
    {"max_credits": "{{ params.credits }}", "rendered": False},
]
INPUTS = "input_fields must map names or ids of inputs to the fields of a row with their values, not "
ROW_KEY = "row_key must be a field of the rows or a list of fields, not "
WRONG_BATCH: list[tuple[dict[str, Any], str]] = [
    (
        {"rows": None},
        (
            "there are no rows: none of rows, rows_path, retry_failed_from, collect_unknown_from is given, "
            "or all of them are None"
        ),
    ),
    (
        {"rows_path": "a.csv"},
        "give one of rows, rows_path, retry_failed_from, collect_unknown_from, not rows and rows_path",
    ),
    ({"input_fields": ["Full Name"]}, f"{INPUTS}['Full Name']"),
    ({"input_fields": {}}, f"{INPUTS}{{}}"),
    ({"input_fields": {"Full Name": 7}}, f"{INPUTS}{{'Full Name': 7}}"),
    ({"row_key": []}, f"{ROW_KEY}[]"),
    ({"row_key": [7]}, f"{ROW_KEY}[7]"),
    ({"row_key": 7}, f"{ROW_KEY}7"),
    ({"on_ambiguous_submit": "fail"}, "on_ambiguous_submit must be park or resubmit, not 'fail'"),
    ({"fail_when_incomplete": "no"}, "fail_when_incomplete must be True or False, not 'no'"),
    ({"run_timeout": 0}, "run_timeout must be a number of seconds above 0, not 0"),
    ({"batch_timeout": -1}, "batch_timeout must be a number of seconds above 0, not -1"),
    ({"batch_timeout": float("inf")}, "batch_timeout must be a number of seconds above 0, not inf"),
    ({"null_values": "none"}, "null_values must be a list of texts, not 'none'"),
    ({"miss_values": None}, "miss_values must be a list of texts, not None"),
    ({"miss_values": "none"}, "miss_values must be a list of texts, not 'none'"),
    (
        {"output_path": None, "output_format": "csv"},
        "output_format is 'csv', but there is no output_path to write to",
    ),
    ({"output_format": "parquet"}, "output_format must be jsonl or csv, not 'parquet'"),
    ({"max_failed_rows": -1}, 'max_failed_rows must be a whole number or like "10%", not -1'),
    ({"max_failed_rows": "10"}, "max_failed_rows must be a whole number or like \"10%\", not '10'"),
    ({"max_in_flight": 0}, "max_in_flight must be a whole number above 0, not 0"),
    ({"max_in_flight": 2.5}, "max_in_flight must be a whole number above 0, not 2.5"),
    ({"max_in_flight": True}, "max_in_flight must be a whole number above 0, not True"),
    ({"segment_size": 0}, "segment_size must be from 1 to 1,000, not 0"),
    ({"segment_size": 1001}, "segment_size must be from 1 to 1,000, not 1001"),
    ({"max_credits": -1}, "max_credits must be a number that is not negative, not -1"),
    ({"max_credits": -1, "rendered": False}, "max_credits must be a number that is not negative, not -1"),
    ({"max_credits": "plenty"}, "max_credits must be a number that is not negative, not 'plenty'"),
    ({"max_credits": "nan"}, "max_credits must be a number that is not negative, not 'nan'"),
    ({"max_credits": "inf"}, "max_credits must be a number that is not negative, not 'inf'"),
    ({"max_credits": True}, "max_credits must be a number that is not negative, not True"),
]


def problems(*, rendered: bool = True, **options: Any) -> list[str]:
    return BatchOptions(**{**BATCH, **options}).problems(rendered=rendered)


@pytest.mark.parametrize("options", FINE_BATCH, ids=str)
def test_nothing_is_said_against_a_batch_that_is_fine(options: dict[str, Any]) -> None:
    assert problems(**options) == []


@pytest.mark.parametrize(("options", "problem"), WRONG_BATCH, ids=str)
def test_each_problem_of_a_batch_is_named(options: dict[str, Any], problem: str) -> None:
    assert problems(**options) == [problem]


@pytest.mark.parametrize(
    ("max_failed_rows", "rows", "allowed"),
    [
        (0, 100, 0),
        (7, 5, 7),
        ("0%", 100, 0),
        ("10%", 100, 10),
        ("10%", 19, 1),
        ("2.5%", 1000, 25),
        ("7%", 100, 7),
        ("29%", 100, 29),
        ("100%", 3, 3),
        ("10%", 0, 0),
        ("101%", 100, None),
        ("-1%", 100, None),
        ("nan%", 100, None),
        ("%", 100, None),
        ("ten%", 100, None),
        ("10", 100, None),
        (0.1, 100, None),
        (True, 100, None),
        (-1, 100, None),
        (None, 100, None),
    ],
)
def test_how_many_rows_may_fail(max_failed_rows: Any, rows: int, allowed: int | None) -> None:
    assert allowed_failures(max_failed_rows, rows) == allowed


@pytest.mark.parametrize(
    ("max_failed_rows", "rows", "allowed"),
    [(0, 100, 0), (3, 100, 3), ("10%", 5, 9), ("10%", 99, 9), ("10%", 100, 10), ("0%", 100, 9)],
)
def test_how_many_rows_may_fail_while_more_are_submitted(
    max_failed_rows: Any, rows: int, allowed: int
) -> None:
    assert failures_to_go_on_with(max_failed_rows, rows) == allowed
