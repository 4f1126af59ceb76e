"""From names to ids, and what speaks against a row before it is paid for."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.api import Grid, InvalidRequestError
from airflow_provider_bitscale.api.parsing import parse_grid
from airflow_provider_bitscale.runs.inputs import resolve_inputs, resolve_output_columns, unique_names


def grid(*columns: tuple[str, str, str] | tuple[str, str, str, bool], name: str | None = "Leads") -> Grid:
    """A grid of columns: id, name, type and whether required; those of a computed type take no input."""
    return parse_grid(
        {
            "id": "grid_001",
            "name": name,
            "columns": [
                {
                    "id": column[0],
                    "name": column[1],
                    "type": column[2],
                    "is_input": column[2] not in ("ai_enrichment", "formula"),
                    "is_output": column[2] in ("ai_enrichment", "formula"),
                    "required": len(column) == 4,
                }
                for column in columns
            ],
        }
    )


LEADS = grid(
    ("c-name", "Full Name", "text", True),
    ("c-company", "Company", "text"),
    ("c-size", "Employees", "number"),
    ("c-site", "Website", "url"),
    ("c-mail", "Known Email", "email"),
    ("c-date", "Last Contact", "date"),
    ("c-is", "Is Customer", "boolean"),
    ("c-new", "Something New", "currency"),
    ("c-tag1", "Tag", "text"),
    ("c-tag2", "Tag", "text"),
    ("c-out", "Enriched Email", "ai_enrichment"),
)
JANE = {"Full Name": "Jane Doe"}


@pytest.mark.parametrize(
    ("inputs", "resolved"),
    [
        ({"Full Name": "Jane", "Company": "Acme"}, {"c-name": "Jane", "c-company": "Acme"}),
        ({"c-name": "Jane", "Company": "Acme"}, {"c-name": "Jane", "c-company": "Acme"}),
        ({**JANE, "Company": None}, {"c-name": "Jane Doe"}),
        ({**JANE, "Employees": None, "Website": "", "Company": " \xa0"}, {"c-name": "Jane Doe"}),
        ({"full_name": "Jane", "COMPANY\xa0": "Acme"}, {"c-name": "Jane", "c-company": "Acme"}),
        ({**JANE, "Is Customer": False, "Employees": 0}, {"c-name": "Jane Doe", "c-is": False, "c-size": 0}),
        ({**JANE, "c-tag1": "a", "c-tag2": "b"}, {"c-name": "Jane Doe", "c-tag1": "a", "c-tag2": "b"}),
        ({"Full Name": "{{ ds }} %s {0}"}, {"c-name": "{{ ds }} %s {0}"}),
        ({"Full Name": "网格 é \r\n"}, {"c-name": "网格 é \r\n"}),
    ],
)
def test_values_by_column_id(inputs: dict[str, Any], resolved: dict[str, Any]) -> None:
    assert resolve_inputs(LEADS, inputs) == resolved


PROBLEMS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, ["the required input 'Full Name' is missing"]),
    "required is None": ({"Full Name": None}, ["the required input 'Full Name' is missing"]),
    "required is empty": ({"c-name": ""}, ["the required input 'Full Name' is missing"]),
    "near miss": ({**JANE, "Compny": "x"}, ["there is no column 'Compny'; did you mean 'Company'?"]),
    "other case, twice": (
        {**JANE, "Company": "x", "company": "y"},
        ["an input is given twice: as 'Company' and as 'company'"],
    ),
    "required is blank": ({"Full Name": " \u200b"}, ["the required input 'Full Name' is missing"]),
    "like two": ({**JANE, "TAG": "x"}, ["2 columns are named like 'TAG'; use an id: c-tag1, c-tag2"]),
    "like an output": ({**JANE, "enriched_email": "x"}, ["column 'enriched_email' takes no input"]),
    "two near": (
        {**JANE, "Email": "x"},
        ["there is no column 'Email'; did you mean 'Known Email' or 'Enriched Email'?"],
    ),
    "nothing near": (
        {**JANE, "zzzzzz": "x"},
        [
            "there is no column 'zzzzzz'; the grid has 'Company', 'Employees', 'Enriched Email', 'Full Name'",
        ],
    ),
    "same name": ({**JANE, "Tag": "x"}, ["2 columns are named 'Tag'; use an id: c-tag1, c-tag2"]),
    "twice": ({**JANE, "c-name": "x"}, ["an input is given twice: as 'Full Name' and as 'c-name'"]),
    "no input": ({**JANE, "Enriched Email": "x"}, ["column 'Enriched Email' takes no input"]),
    "no input by id": ({**JANE, "c-out": None}, ["column 'c-out' takes no input"]),
    "several": (
        {"Compny": "x", "Tag": 1, "Employees": "many"},
        [
            "there is no column 'Compny'",
            "2 columns are named 'Tag'",
            "column 'Employees' takes a number, not 'many'",
            "the required input 'Full Name' is missing",
        ],
    ),
}


@pytest.mark.parametrize(("inputs", "problems"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_every_problem_is_named(inputs: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        resolve_inputs(LEADS, inputs)
    message = caught.value.message
    assert message.startswith("grid 'Leads': ")
    found = message.removeprefix("grid 'Leads': ").split("; ")
    for problem in problems:
        assert problem in message
    starts = ("there is no column", "2 columns", "column ", "the required", "an input is given twice")
    assert sum(part.startswith(starts) for part in found) == len(problems)


FITTING: dict[str, list[Any]] = {
    "Full Name": ["Jane", " Jane "],
    "Employees": [0, -1, 2.5, 10**400],
    "Website": ["https://acme.com", "http://acme.com/a?b#c", "https://[::1]:8443/", "HTTPS://ACME.COM"],
    "Known Email": ["jane@acme.com", "j.d+x@sub.acme.co", "é@acme.com"],
    "Last Contact": [
        "2024-04-15",
        "2024-04-15T12:00:00Z",
        "2024-04-15T12:00:00+02:00",
        "2024-04-15T12:00:00",
        "2024-04-15T12:00",
        "2024-04-15T12:00:00.5Z",
    ],
    "Is Customer": [True, False],
    "Something New": ["x", 1, [1], {"a": 1}],
}
EXPECTED = {
    "Full Name": ("text", [7, True, ["Jane"], {"a": 1}]),
    "Employees": ("a number", ["12", True, float("nan"), float("inf"), [1]]),
    "Website": (
        "an http(s) URL",
        ["acme.com", "ftp://acme.com", "https://", "https://a b", "http://[x", 7, True],
    ),
    "Known Email": (
        "an email address",
        ["jane", "@acme.com", "jane@", "a@b@c", "jane doe@acme.com", "jane@acme", 7],
    ),
    "Last Contact": (
        "an ISO 8601 date",
        ["yesterday", "15.04.2024", "2024-13-01", "2024-02-30", "2024-04-15 12:00", 20240415, True],
    ),
    "Is Customer": ("true or false", ["true", 1, 0, "yes", [1]]),
}


@pytest.mark.parametrize(("column", "value"), [(c, v) for c, values in FITTING.items() for v in values])
def test_a_value_that_fits(column: str, value: Any) -> None:
    resolved = resolve_inputs(LEADS, {**JANE, column: value})
    assert value in resolved.values()


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [(column, value, expected) for column, (expected, values) in EXPECTED.items() for value in values],
)
def test_a_value_of_the_wrong_type(column: str, value: Any, expected: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        resolve_inputs(LEADS, {**JANE, column: value})
    assert f"column {column!r} takes {expected}, not {value!r}" in caught.value.message


def test_without_validation_unknown_keys_are_taken_for_ids() -> None:
    inputs = {"Company": 7, "c-later": "x", "Enriched Email": "y", "Website": None}
    assert resolve_inputs(LEADS, inputs, validate=False) == {"c-company": 7, "c-later": "x", "c-out": "y"}
    for key, problem in (("Tag", "2 columns are named"), ("c-company", "given twice")):
        with pytest.raises(InvalidRequestError, match=problem):
            resolve_inputs(LEADS, {**inputs, key: "x"}, validate=False)


def test_an_id_goes_before_a_name_that_reads_the_same() -> None:
    tricky = grid(("Company", "Other", "text"), ("c-company", "Company", "text"))
    assert resolve_inputs(tricky, {"Company": "x"}) == {"Company": "x"}


def test_a_required_column_that_takes_no_input_is_not_missing() -> None:
    assert resolve_inputs(grid(("c-out", "Enriched Email", "ai_enrichment", True)), {}) == {}


def test_a_grid_without_a_name_or_columns() -> None:
    with pytest.raises(InvalidRequestError, match=r"^grid 'grid_001': there is no column 'a'$"):
        resolve_inputs(grid(name=None), {"a": "b"})
    assert resolve_inputs(grid(), {}) == {}


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (None, None),
        (["Enriched Email"], ["c-out"]),
        (["c-out", "Company"], ["c-out", "c-company"]),
        (["c-tag2"], ["c-tag2"]),
        (("Full Name",), ["c-name"]),
    ],
)
def test_output_columns(names: list[str] | None, ids: list[str] | None) -> None:
    assert resolve_output_columns(LEADS, names) == ids


def test_output_columns_that_are_unknown_or_not_unique_are_all_named() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        resolve_output_columns(LEADS, ["Enriched Mail", "Tag", "c-out"])
    assert "no column 'Enriched Mail'; did you mean 'Enriched Email'" in caught.value.message
    assert "2 columns are named 'Tag'; use an id: c-tag1, c-tag2" in caught.value.message
    assert resolve_output_columns(LEADS, ["c-later"], validate=False) == ["c-later"]
    with pytest.raises(InvalidRequestError, match="2 columns"):
        resolve_output_columns(LEADS, ["Tag"], validate=False)


def test_only_names_that_one_column_has_are_keys_of_a_result() -> None:
    assert unique_names(grid(("a", "A", "text"), ("b1", "B", "text"), ("b2", "B", "formula"))) == {"a": "A"}
