"""From the fields of a row to what a run takes."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.api import InvalidRequestError, RunRecipe
from airflow_provider_bitscale.api.parsing import parse_grid
from airflow_provider_bitscale.batch.table.data_quality import BY_COLUMNS
from airflow_provider_bitscale.batch.table.mapping import InputMapping
from airflow_provider_bitscale.batch.table.readers import ListSource
from airflow_provider_bitscale.batch.table.survey import read_segments, survey
from airflow_provider_bitscale.runs.grid_schema import GridSchema

COLUMNS: list[tuple[str, str, str]] = [
    ("c-name", "Full Name", "text"),
    ("c-company", "Company", "text"),
    ("c-size", "Employees", "number"),
    ("c-is", "Is Customer", "boolean"),
    ("c-site", "Website", "url"),
    ("c-date", "Last Contact", "date"),
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
LEADS = GridSchema(GRID, None, None, True)
LABELS = GridSchema(GRID, RunRecipe("g", "Leads", ("full_name", "company", "employees"), (), {}), None, True)
UNCHECKED = GridSchema(GRID, None, None, False)
JANE = {"Full Name": "Jane"}

INPUTS: dict[str, tuple[GridSchema, dict[str, str] | None, dict[str, Any], dict[str, Any]]] = {
    "by name and id": (LEADS, None, {"Full Name": "Jane", "c-size": 7}, {"c-name": "Jane", "c-size": 7}),
    "other case": (LEADS, None, {"full name": "Jane", "EMPLOYEES": 7}, {"c-name": "Jane", "c-size": 7}),
    "spaces, no-break and invisible ones": (
        LEADS,
        None,
        {"Full\xa0Name": "Jane", " Company ": "x", "\ufeffEmployees": 7, "Web\u200bsite": "https://a.test"},
        {"c-name": "Jane", "c-company": "x", "c-size": 7, "c-site": "https://a.test"},
    ),
    "as programs spell it": (
        LEADS,
        None,
        {"full_name": "Jane", "isCustomer": True},
        {"c-name": "Jane", "c-is": True},
    ),
    "others are carried along": (
        LEADS,
        None,
        {**JANE, "note": "x", "Enriched Email": "y", "enriched_email": "z"},
        {"c-name": "Jane"},
    ),
    "None is none": (LEADS, None, {**JANE, "Company": None}, {"c-name": "Jane"}),
    "blank is none": (LEADS, None, {**JANE, "Company": " \xa0\u200b", "Website": ""}, {"c-name": "Jane"}),
    "a null text is none": (LEADS, None, {**JANE, "Company": r"\N", "Employees": "#N/A"}, {"c-name": "Jane"}),
    "a word is a word": (
        LEADS,
        None,
        {"Full Name": "Null", "Company": "-"},
        {"c-name": "Null", "c-company": "-"},
    ),
    "mapped": (
        LEADS,
        {"Full Name": "name", "c-company": "firm"},
        {"name": "Jane", "firm": "Acme", "Employees": "x"},
        {"c-name": "Jane", "c-company": "Acme"},
    ),
    "a mapped field that is missing": (
        LEADS,
        {"Full Name": "name", "Company": "firm"},
        {"name": "J"},
        {"c-name": "J"},
    ),
    "a field for two inputs": (
        LEADS,
        {"Full Name": "name", "Company": "name"},
        {"name": "Acme"},
        {"c-name": "Acme", "c-company": "Acme"},
    ),
    "given twice, and blank but once": (
        LEADS,
        None,
        {**JANE, "Company": "", "company": "b", "Tag": " "},
        {"c-name": "Jane", "c-company": "b"},
    ),
    "the name of another field": (LEADS, None, {"Full Name": "Company"}, {"c-name": "Company"}),
    "names beside a value": (
        LEADS,
        None,
        {"Full Name": "Full Name", "Company": "Tag", "Employees": 7},
        {"c-name": "Full Name", "c-company": "Tag", "c-size": 7},
    ),
    "dashes beside a value": (LEADS, None, {"Full Name": "---", "n": 1}, {"c-name": "---"}),
    "a mark in a field that is no input": (
        LEADS,
        None,
        {**JANE, "x": "\ufeff1", "y": "\x1a"},
        {"c-name": "Jane"},
    ),
    "quotes that are meant": (
        LEADS,
        None,
        {"Full Name": "'n Sync'", "Company": "'s"},
        {"c-name": "'n Sync'", "c-company": "'s"},
    ),
    "lists": (LABELS, None, {"full_name": "Jane", "company": ["a"]}, {"full_name": "Jane", "company": ["a"]}),
    "labels": (LABELS, None, {"full_name": "Jane", "Company": 7}, {"full_name": "Jane", "company": 7}),
    "labels in other case, with spaces": (
        LABELS,
        None,
        {"FULL NAME": "Jane", "company\xa0": "x"},
        {"full_name": "Jane", "company": "x"},
    ),
    "labels, mapped": (LABELS, {"c-name": "name"}, {"name": "Jane", "company": "x"}, {"full_name": "Jane"}),
    "text of labels": (
        LABELS,
        None,
        {"Full Name": "Jane", "employees": "7", "company": ""},
        {"full_name": "Jane", "employees": "7"},
    ),
    "unchecked": (
        UNCHECKED,
        {"c-later": "x", "Employees": "n"},
        {"x": "1", "n": "many"},
        {"c-later": "1", "c-size": "many"},
    ),
    "unchecked numbers": (UNCHECKED, None, {"Employees": "7"}, {"c-size": 7}),
}


@pytest.mark.parametrize(("schema", "mapping", "fields", "inputs"), INPUTS.values(), ids=INPUTS.keys())
def test_inputs_of_a_row(
    schema: GridSchema, mapping: dict[str, str] | None, fields: dict[str, Any], inputs: dict[str, Any]
) -> None:
    found = InputMapping(schema, mapping)
    assert found.inputs_of(fields) == inputs
    assert found.inputs_of(fields) == inputs


AGAIN = "it repeats the header, as of a file that is joined: remove it"
DASHES = "it is a line of dashes, as below a header: remove it"
MARK = "{} begins with a byte order mark, as where files are joined: remove it"
CTRL_Z = "{} ends with Ctrl-Z, which old programs write at the end of a file: remove it"
MAPPING = {"Full Name": "name", "c-company": "firm"}
NO_DATA: dict[str, tuple[GridSchema, dict[str, str] | None, dict[str, Any], str]] = {
    "the header": (LEADS, None, {"Full Name": "Full Name", "Company": "Company"}, AGAIN),
    "in other case, with spaces": (
        LEADS,
        None,
        {"Full Name": "\ufeffFULL_NAME ", "Company": "company"},
        AGAIN,
    ),
    "in another order": (LEADS, None, {"Full Name": "Company", "Company": "Full Name"}, AGAIN),
    "in another order, with another field": (
        LEADS,
        None,
        {"Full Name": "phone", "Phone": "Company", "Company": "Full Name"},
        AGAIN,
    ),
    "of columns with types": (LEADS, None, {"Full Name": "Full Name", "Employees": "Employees"}, AGAIN),
    "beside a value of the file": (LEADS, None, {"Full Name": "Full Name", "file": "b.csv"}, AGAIN),
    "of labels": (LABELS, None, {"Full Name": "Full Name", "Employees": ""}, AGAIN),
    "of mapped fields": (LEADS, MAPPING, {"name": "name", "firm": "Firm"}, AGAIN),
    "of mapped fields, by inputs": (LEADS, MAPPING, {"name": "Full Name", "firm": "Company"}, AGAIN),
    "of mapped fields, in another order": (LEADS, MAPPING, {"name": "firm", "firm": "name"}, AGAIN),
    "dashes": (LEADS, None, {"Full Name": "---------", "Company": "-------"}, DASHES),
    "dashes of Markdown": (LEADS, None, {"": "", "Full Name": " :--- ", "Company": "---:"}, DASHES),
    "dashes of labels": (LABELS, None, {"Full Name": "=====", "Company": "+", "x": ""}, DASHES),
    "a mark of joined files": (LEADS, None, {"Full Name": "\ufeffBob"}, MARK.format("'Full Name'")),
    "a blank before quotes": (
        LEADS,
        None,
        {"Full Name": "Ada", "Company": ' "Acme"'},
        "'Company' has a blank before its quotes, which are part of it so: remove the blank",
    ),
    "single quotes": (
        LEADS,
        None,
        {"Full Name": "'Ada'", "Company": " 'Acme'"},
        "its texts are in single quotes, which would be sent with them: write double ones",
    ),
    "columns": (LABELS, None, {"full_name": ["Jane", "Ada"], "x": ["a", "b"]}, f"it is {BY_COLUMNS}"),
    "columns by index": (LABELS, None, {"full_name": {"0": "Jane"}, "x": {"0": 1}}, f"it is {BY_COLUMNS}"),
    "Ctrl-Z": (LEADS, MAPPING, {"name": "Ada", "firm": "Acme\x1a"}, CTRL_Z.format("'firm'")),
}


@pytest.mark.parametrize(("schema", "mapping", "fields", "problem"), NO_DATA.values(), ids=NO_DATA.keys())
def test_a_row_that_is_no_data_is_refused(
    schema: GridSchema, mapping: dict[str, str] | None, fields: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        InputMapping(schema, mapping).inputs_of(fields)
    assert caught.value.message == problem


def test_null_texts_are_a_setting() -> None:
    mapping = InputMapping(LEADS, null_values=["NULL"])
    assert mapping.inputs_of({**JANE, "Company": " NULL ", "Employees": "7"}) == {
        "c-name": "Jane",
        "c-size": 7,
    }
    assert mapping.inputs_of({**JANE, "Company": "#N/A"}) == {"c-name": "Jane", "c-company": "#N/A"}
    with pytest.raises(InvalidRequestError, match="required input 'Full Name' is missing"):
        mapping.inputs_of({"Full Name": "NULL"})


VALUES: list[tuple[str, Any, Any]] = [
    ("Company", "7", "7"),
    ("Company", 7, "7"),
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
    ("Employees", 2.5, 2.5),
    ("Is Customer", "", None),
    ("Is Customer", "true", True),
    ("Is Customer", "TRUE", True),
    ("Is Customer", " 1", True),
    ("Is Customer", 1, True),
    ("Is Customer", "yes", True),
    ("Is Customer", "Y", True),
    ("Is Customer", "t", True),
    ("Is Customer", "False", False),
    ("Is Customer", "0", False),
    ("Is Customer", 0, False),
    ("Is Customer", False, False),
    ("Website", " https://acme.com\n", "https://acme.com"),
    ("Website", "\u200bhttps://acme.com\u200b", "https://acme.com"),
    ("Employees", "\u200b7\u200b", 7),
    ("Is Customer", "yes\u200b", True),
    ("Last Contact", "2024-03-12\u200b", "2024-03-12"),
    ("Last Contact", "2024-03-12", "2024-03-12"),
    ("Last Contact", "2024-03-12 09:14", "2024-03-12T09:14"),
    ("Last Contact", "2024-03-12 09:14:05.123456+00:00", "2024-03-12T09:14:05.123456+00:00"),
    ("Last Contact", "2024-03-12 09:14:05 UTC", "2024-03-12T09:14:05Z"),
    ("Last Contact", "2024-03-12 09:14:05.5+02", "2024-03-12T09:14:05.5+02:00"),
    ("Last Contact", "2024-03-12T09:14:05Z", "2024-03-12T09:14:05Z"),
]


@pytest.mark.parametrize(("column", "cell", "value"), VALUES)
@pytest.mark.parametrize("mapped", [False, True])
def test_a_value_is_read_as_the_type_of_its_column(column: str, cell: Any, value: Any, mapped: bool) -> None:
    mapping = {"Full Name": "name", column: "cell"} if mapped else None
    fields = {"name": "Jane", "cell": cell} if mapped else {**JANE, column: cell}
    found = InputMapping(LEADS, mapping).inputs_of(fields)
    del found["c-name"]
    expected = [] if value is None else [value]
    assert list(found.values()) == expected
    assert list(map(type, found.values())) == list(map(type, expected))


REFUSED: dict[str, tuple[GridSchema, dict[str, Any], str]] = {
    "no number": (
        LEADS,
        {**JANE, "Employees": "1,5"},
        "column 'Employees' takes a number, not '1,5' (such as 1234.5)",
    ),
    "no number either": (
        LEADS,
        {**JANE, "Employees": "nan"},
        "column 'Employees' takes a number, not 'nan' (such as 1234.5)",
    ),
    "too large a number": (
        LEADS,
        {**JANE, "Employees": "1e999"},
        "column 'Employees' takes a number, not inf (such as 1234.5)",
    ),
    "no boolean": (
        LEADS,
        {**JANE, "Is Customer": "wahr"},
        "column 'Is Customer' takes true or false, not 'wahr'",
    ),
    "several": (
        LEADS,
        {"Full Name": "", "Employees": "x", "Website": "acme"},
        (
            "column 'Employees' takes a number, not 'x' (such as 1234.5), column 'Website' takes an http(s) "
            "URL, not 'acme', the required input 'Full Name' is missing"
        ),
    ),
    "a name of two": (
        LEADS,
        {**JANE, "Tag": "x"},
        "2 columns are named 'Tag'; use an id: c-tag1, c-tag2, input_fields={…} says which field is meant",
    ),
    "no text": (LEADS, {**JANE, "Company": 7.0}, "column 'Company' takes text, not 7.0"),
    "a day that is not certain": (
        LEADS,
        {**JANE, "Last Contact": "01/02/2024"},
        (
            "column 'Last Contact' takes an ISO 8601 date, not '01/02/2024' "
            "(such as 2026-01-31 or 2026-01-31T09:30:00Z)"
        ),
    ),
    "given twice": (
        LEADS,
        {**JANE, "c-name": "x"},
        "an input is given twice: as 'Full Name' and as 'c-name', input_fields={…} says which field is meant",
    ),
    "given twice, in other case": (
        LEADS,
        {**JANE, "Company": "x", "company": "y"},
        "an input is given twice: as 'Company' and as 'company', input_fields={…} says which field is meant",
    ),
    "a field like two columns": (
        LEADS,
        {**JANE, "tag": "x"},
        (
            "2 columns are named like 'tag'; use an id: c-tag1, c-tag2, "
            "input_fields={…} says which field is meant"
        ),
    ),
    "a label given twice": (
        LABELS,
        {"company": "x", "Company": "y"},
        "an input is given twice: as 'company' and as 'Company', input_fields={…} says which field is meant",
    ),
    "no field is an input": (
        UNCHECKED,
        {"name": "Jane", "x": "y"},
        (
            "none of its fields is an input: 'name', 'x'; the grid takes 'Full Name', 'Company', "
            "'Employees', 'Is Customer', 'Website', 'Last Contact', 'Tag'; "
            "input_fields={'Full Name': '…'} says which field is meant"
        ),
    ),
    "no field is a label": (
        LABELS,
        {"Website": "x"},
        (
            "none of its fields is an input: 'Website'; the grid takes 'full_name', 'company', 'employees'; "
            "input_fields={'full_name': '…'} says which field is meant"
        ),
    ),
    "the rows are in a field": (
        LABELS,
        {"data": [{"full_name": "Jane"}]},
        (
            "none of its fields is an input: 'data'; the grid takes 'full_name', 'company', 'employees' "
            "(if 'data' holds the rows, give that list alone)"
        ),
    ),
    "no rows are in a field": (
        LABELS,
        {"data": []},
        (
            "none of its fields is an input: 'data'; the grid takes 'full_name', 'company', 'employees' "
            "(if 'data' holds the rows, give that list alone)"
        ),
    ),
    "the rows and the names are in fields": (
        LABELS,
        {"columns": ["full_name"], "index": [0], "data": [["Jane"]]},
        (
            "none of its fields is an input: 'columns', 'index', 'data'; the grid takes 'full_name', "
            f"'company', 'employees' (it is {BY_COLUMNS})"
        ),
    ),
    "the rows are deep in a field": (
        LABELS,
        {"data": {"items": [{"full_name": "Jane"}], "n": 1}},
        (
            "none of its fields is an input: 'data'; the grid takes 'full_name', 'company', 'employees' "
            "(if 'data.items' holds the rows, give that list alone)"
        ),
    ),
    "the header comes later": (
        LEADS,
        {"Leads": "full name", "column 2": "Company"},
        (
            "it has the names of inputs as values, 'full name', 'Company': if it is the header, "
            "remove the lines above it"
        ),
    ),
    "required, and a null text": (
        LEADS,
        {"Full Name": r"\N"},
        r"the required input 'Full Name' is missing, '\\N' means no value by null_values",
    ),
    "required, and blank": (LEADS, {"Full Name": " \xa0"}, "the required input 'Full Name' is missing"),
    "blank": (
        LABELS,
        {"company": "", "full_name": "  "},
        "no input has a value: a blank row would be paid for",
    ),
}


@pytest.mark.parametrize(("schema", "fields", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_a_row_that_is_refused(schema: GridSchema, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        InputMapping(schema).inputs_of(fields)
    assert caught.value.message == problem


@pytest.mark.parametrize("schema", [LEADS, LABELS])
def test_a_mapping_of_what_is_no_input_is_refused_at_once(schema: GridSchema) -> None:
    with pytest.raises(
        InvalidRequestError, match=r"^input_fields: .*no (column|input) 'Compny'; did you mean.*'Emplyees'"
    ):
        InputMapping(schema, {"Full Name": "name", "Compny": "x", "Emplyees": "y"})


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
    ("a", {"a": " "}, {"a": " "}, False),
    ("a", {"a": "\u00a0"}, {"a": "\u00a0"}, False),
    ("a", {"a": r"\N"}, {"a": r"\N"}, False),
    ("a", {"a": []}, {"a": []}, False),
    ("a", {"a": 0}, {"a": 0}, True),
    ("a", {"a": "NULL"}, {"a": "NULL"}, True),
    ("a", {"a": "x"}, {"a": " x\u00a0"}, True),
    ("a", {"a": "x"}, {"a": "\ufeffx\u200b"}, True),
    ("a", {"a": "x y"}, {"a": "xy"}, False),
    ("a", {"a": "Zo\u00eb"}, {"a": "Zoe\u0308"}, True),
    ("a", {"a": "\u200b"}, {"a": "\u200b"}, False),
    ("a", {"a": "#N/A\u200b"}, {"a": "#N/A"}, False),
    (["a", "b"], {"a": "x", "b": ""}, {"a": "x", "b": " "}, True),
    (["a", "b"], {"a": "x", "b": ""}, {"a": "x", "b": None}, True),
    (["a", "b"], {"a": "x", "b": r"\N"}, {"a": "x", "b": None}, True),
    (["a", "b"], {"a": "x", "b": ""}, {"a": "", "b": "x"}, False),
    (["a", "b"], {"a": "x", "b": 0}, {"a": "x", "b": None}, False),
    (None, {"a": "x"}, {"a": "x"}, False),
]


@pytest.mark.parametrize(("row_key", "one", "other", "same"), KEYS)
def test_rows_that_are_the_same(
    row_key: str | list[str] | None, one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    source = ListSource([{**JANE, **one}, {**JANE, **other}])
    mapping = InputMapping(LEADS, None, row_key)
    found = survey(source, mapping, 10)
    assert (found.rows, found.duplicates) == (2, int(same))
    [segment] = read_segments(source, mapping, 10, found)
    assert [row.duplicate for row in segment.rows] == [False, same]


def test_which_field_goes_to_which_input_is_told() -> None:
    matching = InputMapping(LEADS).matching(["full_name", "Company", "company", "Web Sites", "note"])
    assert matching.filled == {"Full Name": ["full_name"], "Company": ["Company", "company"]}
    assert matching.unfilled == {
        "Employees": None,
        "Is Customer": None,
        "Website": "Web Sites",
        "Last Contact": None,
        "Tag": None,
    }
    assert str(InputMapping(LABELS).matching(["company\xa0", "Employee"])) == (
        r"Fields → inputs: 'company\xa0' → 'company'; inputs that get nothing: 'full_name', 'employees' "
        "(is it the field 'Employee'? input_fields={'employees': 'Employee'})"
    )
    mapped = InputMapping(LABELS, {"full_name": "name", "Company": "firm"}).matching(
        ["name", "firm", "Employee"]
    )
    assert str(mapped) == (
        "Fields → inputs: 'name' → 'full_name', 'firm' → 'company'; inputs that get nothing: 'employees'"
    )
