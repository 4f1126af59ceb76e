"""From the fields of rows to what runs take, and what speaks against any of them before one is paid for."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.api import InvalidRequestError, RunRecipe
from airflow_provider_bitscale.api.parsing import parse_grid
from airflow_provider_bitscale.batch.rows import Row, RowForm, Segment, segments, survey
from airflow_provider_bitscale.batch.sources import FileSource, ListSource
from airflow_provider_bitscale.runs.grid_form import GridForm
from tests.batch.stores import folder_in, write

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


def leads(*names: str) -> ListSource:
    return ListSource([{"Full Name": name, "n": number} for number, name in enumerate(names)])


@pytest.mark.parametrize(
    ("names", "size", "cut"),
    [
        ("", 2, []),
        ("a", 2, ["a"]),
        ("ab", 2, ["ab"]),
        ("abcde", 2, ["ab", "cd", "e"]),
        ("abc", 1, ["a", "b", "c"]),
        ("abc", 1000, ["abc"]),
    ],
)
def test_rows_are_cut_into_segments(names: str, size: int, cut: list[str]) -> None:
    source, form = leads(*names), RowForm(FORM, None, None, False)
    found = survey(source, form, size)
    assert (found.rows, len(found.digests)) == (len(names), len(cut))
    expected = [
        Segment(
            number,
            tuple(
                Row(index := number * size + offset, {"Full Name": name, "n": index}, {"c-name": name}, False)
                for offset, name in enumerate(part)
            ),
        )
        for number, part in enumerate(cut)
    ]
    assert list(segments(source, form, size, found)) == expected


def test_a_duplicate_is_found_across_segments_in_each_pass() -> None:
    source, form = leads("a", "b", "a", "c", "a"), RowForm(FORM, None, "Full Name", False)
    found = survey(source, form, 2)
    assert found.duplicates == 2
    for _ in range(2):
        rows = [row for segment in segments(source, form, 2, found) for row in segment.rows]
        assert [row.index for row in rows if row.duplicate] == [2, 4]


def test_the_fingerprint_is_of_the_fields() -> None:
    form = RowForm(FORM, None, None, False)
    same = [
        survey(ListSource([{"Full Name": "a", "n": 1}]), form, 2),
        survey(ListSource([{"n": 1, "Full Name": "a"}]), form, 2),
    ]
    assert same[0] == same[1]
    other: list[list[dict[str, Any]]] = [
        [],
        [{"Full Name": "a", "n": "1"}],
        [{"Full Name": "a", "n": 1}] * 2,
        [{"Full Name": "a", "n": 1}] * 3,
        [{"Full Name": "a", "n": 1, "note": None}],
    ]
    prints = {survey(ListSource(rows), form, 2).fingerprint for rows in other}
    assert len(prints | {same[0].fingerprint}) == len(other) + 1


CHANGED: dict[str, tuple[str, int]] = {
    "a value": ("abcx", 1),
    "the order": ("abdc", 1),
    "the first": ("xbcd", 0),
    "one less": ("abc", 1),
    "a segment less": ("ab", 1),
    "all gone": ("", 0),
    "one more": ("abcde", 2),
    "one in between": ("abxcd", 1),
}


@pytest.mark.parametrize(("names", "unchanged"), CHANGED.values(), ids=CHANGED.keys())
def test_input_that_changes_is_noticed(names: str, unchanged: int) -> None:
    form = RowForm(FORM, None, None, False)
    found = survey(ListSource([{"Full Name": name} for name in "abcd"]), form, 2)
    given = segments(ListSource([{"Full Name": name} for name in names]), form, 2, found)
    for number in range(unchanged):
        assert next(given).number == number
    with pytest.raises(InvalidRequestError, match="the input has changed while it was read"):
        next(given)


def test_a_row_that_breaks_later_is_noticed() -> None:
    form = RowForm(FORM, None, None, False)
    found = survey(leads("a"), form, 2)
    broken: list[Any] = [{"Full Name": "a", "n": 0}, "b"]
    later: list[list[Any]] = [["b"], [{"Full Name": "", "n": 0}], broken[1:]]
    for rows in later:
        with pytest.raises(InvalidRequestError, match="the input has changed"):
            next(segments(ListSource(rows), form, 2, found))


def test_all_rows_that_cannot_be_run_are_reported_together() -> None:
    rows: list[Any] = [
        JANE,
        {"Full Name": ""},
        "Jane",
        {**JANE, "Employees": "many"},
        {**JANE, "note": {1, 2}},
        {"name": "Jane"},
        {**JANE, "note": float("nan")},
    ]
    with pytest.raises(InvalidRequestError) as caught:
        survey(ListSource(rows), RowForm(FORM, None, None, False), 3)
    assert caught.value.message.startswith(
        "6 of 7 rows cannot be run: row 2: the required input 'Full Name' is missing; "
        "row 3: it must be an object of fields, not str; "
        "row 4: column 'Employees' takes a number, not 'many'; "
        "row 5: it is not JSON: Object of type set is not JSON serializable; "
        "row 6: none of its fields is an input: 'name'; "
        "row 7: it is not JSON: Out of range float values are not JSON compliant"
    )


@pytest.mark.parametrize(("bad", "more"), [(20, ""), (21, "; and 1 more"), (500, "; and 480 more")])
def test_of_many_bad_rows_all_are_counted_and_some_named(bad: int, more: str, tmp_path: Path) -> None:
    lines = "".join(f"Jane {n},x\n" if n < bad else f"Jane {n},1\n" for n in range(600))
    path = write(folder_in("file", tmp_path) / "a.csv", f"Full Name,Employees\n{lines}".encode())
    source = FileSource(path)
    with pytest.raises(InvalidRequestError) as caught:
        survey(source, RowForm(FORM, None, None, source.text), 100)
    message = caught.value.message
    assert message.startswith(
        f"{bad} of 600 rows cannot be run: line 2: column 'Employees' takes a number, not 'x'; "
    )
    assert message.count("line ") == 20
    assert message.endswith(f"line 21: column 'Employees' takes a number, not 'x'{more}")


def test_a_long_problem_is_cut_short() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        survey(ListSource([{**JANE, "Website": "x" * 10_000}]), RowForm(FORM, None, None, False), 3)
    assert 300 < len(caught.value.message) < 400
    assert caught.value.message.endswith("x…")


def test_a_row_without_a_field_of_the_key_is_reported() -> None:
    with pytest.raises(
        InvalidRequestError, match=r"1 of 2 rows cannot be run: row 2: it has no field 'b', 'c', which"
    ):
        survey(
            ListSource([{**JANE, "b": 1, "c": 2}, JANE]),
            RowForm(FORM, None, ["Full Name", "b", "c"], False),
            3,
        )


def test_a_mapped_field_that_no_row_has_is_reported() -> None:
    form = RowForm(FORM, {"Full Name": "name", "Company": "firm"}, None, False)
    rows = [{"name": "Jane"}, {"name": "Ada", "firm": "Engines"}]
    assert survey(ListSource(rows), form, 3).rows == 2
    with pytest.raises(InvalidRequestError, match=r"^inputs: no row has the field 'firm'$"):
        survey(ListSource(rows[:1]), form, 3)
    assert survey(ListSource([]), form, 3).rows == 0


def test_a_large_file_is_surveyed_and_cut_without_being_all_in_memory(tmp_path: Path) -> None:
    lines = (f"Jane {number},{'x' * 4000}\n" for number in range(3_000))
    path = write(folder_in("file", tmp_path) / "a.csv", ("Full Name,note\n" + "".join(lines)).encode())
    source = FileSource(path)
    form = RowForm(FORM, None, "Full Name", source.text)
    tracemalloc.start()
    try:
        found = survey(source, form, 100)
        assert sum(len(segment.rows) for segment in segments(source, form, 100, found)) == 3_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 4
