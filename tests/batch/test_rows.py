"""From the fields of a row to what a run takes."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.api import InvalidRequestError, RunRecipe
from airflow_provider_bitscale.api.parsing import parse_grid
from airflow_provider_bitscale.batch.rows import RowForm, segments, survey
from airflow_provider_bitscale.batch.sources import ListSource
from airflow_provider_bitscale.runs.grid_form import GridForm

COLUMNS: list[tuple[str, str, str]] = [
    ("c-name", "Full Name", "text"),
    ("c-company", "Company", "text"),
    ("c-size", "Employees", "number"),
    ("c-is", "Is Customer", "boolean"),
    ("c-site", "Website", "url"),
    ("c-tag1", "Tag", "text"),
    ("c-tag2", "Tag", "text"),
    ("c-out", "Enriched Email", "ai_enrichment"),
]
GRID = parse_grid(
    {
        "id": "g",
        "name": "Leads",
        "columns": [
            {"id": id, "name": name, "type": kind, "is_input": id != "c-out", "required": id == "c-name"}
            for id, name, kind in COLUMNS
        ],
    }
)
FORM = GridForm(GRID, None, None, True)
LABELS = GridForm(GRID, RunRecipe("g", "Leads", ("full_name", "company", "employees"), (), {}), None, True)
UNCHECKED = GridForm(GRID, None, None, False)
JANE = {"Full Name": "Jane"}

INPUTS: dict[str, tuple[GridForm, dict[str, str] | None, bool, dict[str, Any], dict[str, Any]]] = {
    "by name and id": (
        FORM,
        None,
        False,
        {"Full Name": "Jane", "c-size": 7},
        {"c-name": "Jane", "c-size": 7},
    ),
    "others are carried along": (
        FORM,
        None,
        False,
        {**JANE, "note": "x", "Enriched Email": "y"},
        {"c-name": "Jane"},
    ),
    "None is none": (FORM, None, False, {**JANE, "Company": None}, {"c-name": "Jane"}),
    "values are as they are": (
        FORM,
        None,
        False,
        {**JANE, "Company": ""},
        {"c-name": "Jane", "c-company": ""},
    ),
    "mapped": (
        FORM,
        {"Full Name": "name", "c-company": "firm"},
        False,
        {"name": "Jane", "firm": "Acme", "Employees": "x"},
        {"c-name": "Jane", "c-company": "Acme"},
    ),
    "a mapped field that is missing": (
        FORM,
        {"Full Name": "name", "Company": "firm"},
        False,
        {"name": "J"},
        {"c-name": "J"},
    ),
    "a field for two inputs": (
        FORM,
        {"Full Name": "name", "Company": "name"},
        False,
        {"name": "Acme"},
        {"c-name": "Acme", "c-company": "Acme"},
    ),
    "labels": (LABELS, None, False, {"full_name": "Jane", "Company": 7}, {"full_name": "Jane", "company": 7}),
    "labels, mapped": (
        LABELS,
        {"c-name": "name"},
        False,
        {"name": "Jane", "company": "x"},
        {"full_name": "Jane"},
    ),
    "text of labels": (
        LABELS,
        None,
        True,
        {"Full Name": "Jane", "employees": "7", "company": ""},
        {"full_name": "Jane", "employees": "7"},
    ),
    "unchecked": (
        UNCHECKED,
        {"c-later": "x", "Employees": "n"},
        True,
        {"x": "1", "n": "many"},
        {"c-later": "1", "c-size": "many"},
    ),
    "unchecked numbers": (UNCHECKED, None, True, {"Employees": "7"}, {"c-size": 7}),
}


@pytest.mark.parametrize(("form", "mapping", "text", "fields", "inputs"), INPUTS.values(), ids=INPUTS.keys())
def test_inputs_of_a_row(
    form: GridForm,
    mapping: dict[str, str] | None,
    text: bool,
    fields: dict[str, Any],
    inputs: dict[str, Any],
) -> None:
    row_form = RowForm(form, mapping, None, text)
    assert row_form.inputs_of(fields) == inputs
    assert row_form.inputs_of(fields) == inputs


TEXTS: list[tuple[str, str, Any]] = [
    ("Company", "7", "7"),
    ("Company", " x ", " x "),
    ("Company", "true", "true"),
    ("Company", "", None),
    ("Employees", "", None),
    ("Employees", "7", 7),
    ("Employees", " 007 ", 7),
    ("Employees", "-1", -1),
    ("Employees", "2.5", 2.5),
    ("Employees", ".5", 0.5),
    ("Employees", "1e3", 1000.0),
    ("Is Customer", "", None),
    ("Is Customer", "true", True),
    ("Is Customer", "TRUE", True),
    ("Is Customer", " 1", True),
    ("Is Customer", "False", False),
    ("Is Customer", "0", False),
]


@pytest.mark.parametrize(("column", "cell", "value"), TEXTS)
@pytest.mark.parametrize("mapped", [False, True])
def test_a_cell_is_read_as_the_type_of_its_column(column: str, cell: str, value: Any, mapped: bool) -> None:
    mapping = {"Full Name": "name", column: "cell"} if mapped else None
    fields = {"name": "Jane", "cell": cell} if mapped else {**JANE, column: cell}
    found = RowForm(FORM, mapping, None, True).inputs_of(fields)
    del found["c-name"]
    expected = [] if value is None else [value]
    assert list(found.values()) == expected
    assert list(map(type, found.values())) == list(map(type, expected))


REFUSED: dict[str, tuple[GridForm, dict[str, Any], str]] = {
    "no number": (FORM, {**JANE, "Employees": "1,5"}, "column 'Employees' takes a number, not '1,5'"),
    "no number either": (FORM, {**JANE, "Employees": "nan"}, "column 'Employees' takes a number, not 'nan'"),
    "too large a number": (
        FORM,
        {**JANE, "Employees": "1e999"},
        "column 'Employees' takes a number, not inf",
    ),
    "no boolean": (
        FORM,
        {**JANE, "Is Customer": "yes"},
        "column 'Is Customer' takes true or false, not 'yes'",
    ),
    "several": (
        FORM,
        {"Full Name": "", "Employees": "x", "Website": "acme"},
        (
            "column 'Employees' takes a number, not 'x', column 'Website' takes an http(s) URL, not 'acme', "
            "the required input 'Full Name' is missing"
        ),
    ),
    "a name of two": (FORM, {**JANE, "Tag": "x"}, "2 columns are named 'Tag'; use an id: c-tag1, c-tag2"),
    "given twice": (FORM, {**JANE, "c-name": "x"}, "column 'c-name' is given twice, by name and by id"),
    "a label given twice": (
        LABELS,
        {"company": "x", "Company": "y"},
        "input 'company' is given twice, the second time as 'Company'",
    ),
    "no field is an input": (FORM, {"name": "Jane", "x": "y"}, "none of its fields is an input: 'name', 'x'"),
    "no field is a label": (LABELS, {"Website": "x"}, "none of its fields is an input: 'Website'"),
    "blank": (
        LABELS,
        {"company": "", "full_name": "  "},
        "no input has a value: a blank row would be paid for",
    ),
}


@pytest.mark.parametrize(("form", "fields", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_a_row_that_is_refused(form: GridForm, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        RowForm(form, None, None, True).inputs_of(fields)
    assert caught.value.message == problem


@pytest.mark.parametrize("form", [FORM, LABELS])
def test_a_mapping_of_what_is_no_input_is_refused_at_once(form: GridForm) -> None:
    with pytest.raises(
        InvalidRequestError, match=r"^inputs: .*no (column|input) 'Compny'; did you mean.*'Emplyees'"
    ):
        RowForm(form, {"Full Name": "name", "Compny": "x", "Emplyees": "y"}, None, True)


KEYS: list[tuple[str | list[str] | None, dict[str, Any], dict[str, Any], bool]] = [
    ("a", {"a": "x", "b": 1}, {"a": "x", "b": 2}, True),
    ("a", {"a": "x"}, {"a": "X"}, False),
    ("a", {"a": "1"}, {"a": 1}, False),
    ("a", {"a": 1}, {"a": True}, False),
    ("a", {"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, True),
    (["a", "b"], {"a": "x", "b": "y", "c": 1}, {"b": "y", "a": "x"}, True),
    (["a", "b"], {"a": "x", "b": "y"}, {"a": "xy", "b": ""}, False),
    (["a", "b"], {"a": "", "b": "y"}, {"a": "", "b": "y"}, True),
    ("a", {"a": ""}, {"a": ""}, False),
    (["a", "b"], {"a": None, "b": ""}, {"a": None, "b": ""}, False),
    (None, {"a": "x"}, {"a": "x"}, False),
]


@pytest.mark.parametrize(("row_key", "one", "other", "same"), KEYS)
def test_rows_that_are_the_same(
    row_key: str | list[str] | None, one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    source = ListSource([{**JANE, **one}, {**JANE, **other}])
    form = RowForm(FORM, None, row_key, False)
    found = survey(source, form, 10)
    assert (found.rows, found.duplicates) == (2, int(same))
    [segment] = segments(source, form, 10, found)
    assert [row.duplicate for row in segment.rows] == [False, same]
