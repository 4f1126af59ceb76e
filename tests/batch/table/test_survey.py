"""All rows of an input: cut into segments, told apart, and what speaks against any of them."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.api import InvalidRequestError
from airflow_provider_bitscale.batch.table.mapping import InputMapping
from airflow_provider_bitscale.batch.table.readers import FileSource, ListSource
from airflow_provider_bitscale.batch.table.survey import Row, Segment, read_segments, survey
from tests.batch.table.test_mapping import JANE, LEADS
from tests.support.object_stores import folder_in, write


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
    source, mapping = leads(*names), InputMapping(LEADS)
    found = survey(source, mapping, size)
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
    assert list(read_segments(source, mapping, size, found)) == expected


def test_a_duplicate_is_found_across_segments_in_each_pass() -> None:
    source, mapping = leads("a", "b", "a", "c", "a"), InputMapping(LEADS, None, "Full Name")
    found = survey(source, mapping, 2)
    assert found.duplicates == 2
    for _ in range(2):
        rows = [row for segment in read_segments(source, mapping, 2, found) for row in segment.rows]
        assert [row.index for row in rows if row.duplicate] == [2, 4]


def test_the_fingerprint_is_of_the_fields() -> None:
    mapping = InputMapping(LEADS)
    same = [
        survey(ListSource([{"Full Name": "a", "n": 1}]), mapping, 2),
        survey(ListSource([{"n": 1, "Full Name": "a"}]), mapping, 2),
    ]
    assert same[0].fingerprint == same[1].fingerprint
    other: list[list[dict[str, Any]]] = [
        [],
        [{"Full Name": "a", "n": "1"}],
        [{"Full Name": "a", "n": 1}] * 2,
        [{"Full Name": "a", "n": 1}] * 3,
        [{"Full Name": "a", "n": 1, "note": None}],
    ]
    prints = {survey(ListSource(rows), mapping, 2).fingerprint for rows in other}
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
    mapping = InputMapping(LEADS)
    found = survey(ListSource([{"Full Name": name} for name in "abcd"]), mapping, 2)
    given = read_segments(ListSource([{"Full Name": name} for name in names]), mapping, 2, found)
    for number in range(unchanged):
        assert next(given).number == number
    with pytest.raises(InvalidRequestError, match="the input has changed while it was read"):
        next(given)


def test_segments_that_are_finished_are_left_out_and_counted() -> None:
    rows = [{"Full Name": name} for name in "abcaeb"]
    mapping = InputMapping(LEADS, None, "Full Name")
    found = survey(ListSource(rows), mapping, 2)
    given = read_segments(ListSource(rows), mapping, 2, found, finished={0, 1})
    assert [(row.index, row.fields, row.duplicate) for segment in given for row in segment.rows] == [
        (4, {"Full Name": "e"}, False),
        (5, {"Full Name": "b"}, True),
    ]


def test_a_row_that_breaks_later_is_noticed() -> None:
    mapping = InputMapping(LEADS)
    found = survey(leads("a"), mapping, 2)
    broken: list[Any] = [{"Full Name": "a", "n": 0}, "b"]
    later: list[list[Any]] = [["b"], [{"Full Name": "", "n": 0}], broken[1:]]
    for rows in later:
        with pytest.raises(InvalidRequestError, match="the input has changed"):
            next(read_segments(ListSource(rows), mapping, 2, found))


def test_all_rows_that_cannot_be_run_are_reported_together() -> None:
    rows: list[Any] = [
        JANE,
        {"Full Name": ""},
        "Jane",
        {**JANE, "Employees": "many"},
        {**JANE, "note": {1, 2}},
        {"name": "Jane"},
    ]
    with pytest.raises(InvalidRequestError) as caught:
        survey(ListSource(rows), InputMapping(LEADS), 3)
    assert caught.value.message.startswith(
        "5 of 6 rows cannot be run: row 2: the required input 'Full Name' is missing; "
        "row 3: it must be an object of fields, not str; "
        "row 4: column 'Employees' takes a number, not 'many' (such as 1234.5); "
        "row 5: it is not JSON: Object of type set is not JSON serializable; "
        "row 6: none of its fields is an input: 'name'"
    )


@pytest.mark.parametrize(("bad", "more"), [(1, ""), (20, ""), (21, "; and 1 more"), (500, "; and 480 more")])
def test_of_many_bad_rows_all_are_counted_and_some_named(bad: int, more: str, tmp_path: Path) -> None:
    lines = "".join(f"Jane {n},{f'x{n}' if n < bad else 1}\n" for n in range(600))
    path = write(folder_in("file", tmp_path) / "a.csv", f"Full Name,Employees\n{lines}".encode())
    source = FileSource(path)
    with pytest.raises(InvalidRequestError) as caught:
        survey(source, InputMapping(LEADS), 100)
    message = caught.value.message
    assert message.startswith(
        f"{bad} of 600 rows cannot be run: line 2: column 'Employees' takes a number, not 'x0'"
    )
    assert message.count("line ") == min(bad, 20)
    assert message.endswith(
        f"line {1 + min(bad, 20)}: column 'Employees' takes a number, not 'x{min(bad, 20) - 1}' "
        f"(such as 1234.5){more}"
    )


@pytest.mark.parametrize(
    ("rows", "named"),
    [(1, "row 1"), (3, "row 1, row 2, row 3"), (1_500, "row 1, row 2, row 3 and 1,497 more")],
)
def test_a_problem_that_rows_share_is_told_once(rows: int, named: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        survey(ListSource([{"Full Name": ""}] * rows), InputMapping(LEADS), 100)
    assert caught.value.message == (
        f"{rows:,} of {rows:,} rows cannot be run: {named}: the required input 'Full Name' is missing"
    )


def test_a_long_problem_is_cut_short() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        survey(ListSource([{**JANE, "Website": "x" * 10_000}]), InputMapping(LEADS), 3)
    assert 300 < len(caught.value.message) < 400
    assert caught.value.message.endswith("x…")


def test_a_row_without_a_field_of_the_key_is_reported() -> None:
    with pytest.raises(
        InvalidRequestError, match=r"1 of 2 rows cannot be run: row 2: it has no field 'b', 'c', which"
    ):
        survey(
            ListSource([{**JANE, "b": 1, "c": 2}, JANE]),
            InputMapping(LEADS, None, ["Full Name", "b", "c"]),
            3,
        )


def test_a_named_field_that_no_row_has_is_reported_alone() -> None:
    mapping = InputMapping(LEADS, {"Full Name": "name", "Company": "firm"})
    rows = [{"name": "Jane"}, {"name": "Ada", "firm": "Engines"}]
    assert survey(ListSource(rows), mapping, 3).rows == 2
    with pytest.raises(InvalidRequestError, match=r"^no row has the field 'firm'; there are 'name'$"):
        survey(ListSource(rows[:1]), mapping, 3)
    mapping = InputMapping(LEADS, {"Full Name": "nmae"}, "email")
    with pytest.raises(
        InvalidRequestError, match=r"^no row has the field 'email', 'nmae'; there are 'name', 'firm'$"
    ):
        survey(ListSource(rows), mapping, 3)
    unreadable: list[Any] = ["Jane", 7]
    with pytest.raises(InvalidRequestError, match=r"^2 of 2 rows cannot be run: row 1: it must be an object"):
        survey(ListSource(unreadable), mapping, 3)
    assert survey(ListSource([]), mapping, 3).rows == 0


NOTES = "".join(f"Note {number}\n" for number in range(200))
REMOVE = ": if that is the header, remove the lines above it"
PREAMBLES: dict[str, tuple[str, dict[str, str] | None, str]] = {
    "of other cells": (
        'Leads\n"It says, so"\n\nFull Name,Company\nAda,Acme\n',
        None,
        "line 4 has the names 'Full Name', 'Company'" + REMOVE,
    ),
    "of many lines": (
        f"{NOTES}Full Name,Company\nAda,Acme\n",
        None,
        "line 201 has the names 'Full Name', 'Company'" + REMOVE,
    ),
    "of as many cells": (
        "Leads,2026\nfull_name,x\nAda,Acme\n",
        None,
        "line 2 has the names 'full_name'" + REMOVE,
    ),
    "with a mapping": (
        "Leads,2026\nname,firm\nAda,Acme\n",
        {"Full Name": "Name"},
        "line 2 has the names 'name'" + REMOVE,
    ),
    "with semicolons": (
        "Leads\nFull Name;Company\nAda;Acme\n",
        None,
        "line 2 has the names 'Full Name', 'Company'" + REMOVE,
    ),
    "without names of inputs": (
        "Leads,2026-01-01\nname,b,c\nJane,1,2\nAda,1,2\n",
        None,
        "the header has 2 cells, and most lines have 3, the first of them line 2" + REMOVE,
    ),
}


@pytest.mark.parametrize(("text", "mapping", "problem"), PREAMBLES.values(), ids=PREAMBLES.keys())
def test_notes_above_the_header_are_told(
    text: str, mapping: dict[str, str] | None, problem: str, tmp_path: Path
) -> None:
    path = write(folder_in("file", tmp_path) / "a.csv", text.encode())
    with pytest.raises(InvalidRequestError) as caught:
        survey(FileSource(path), InputMapping(LEADS, mapping), 3)
    assert caught.value.message == problem


def test_below_a_header_with_names_no_other_is_searched(tmp_path: Path) -> None:
    text = "Full Name\n" + "Lovelace, Ada\n" * 3 + "Full Name,Company\n"
    path = write(folder_in("file", tmp_path) / "a.csv", text.encode())
    with pytest.raises(
        InvalidRequestError, match=r"^4 of 4 rows .*a text with a separator in it needs quotes"
    ):
        survey(FileSource(path), InputMapping(LEADS), 3)


TOTALS = ["Total", "grand total:", "Summe", "(1 row)", "1,234 rows affected", "Total: 5", "Sub-Total"]


@pytest.mark.parametrize(
    ("names", "total"),
    [
        *((["Ada", total], "row 2") for total in TOTALS),
        (["Total", "Ada"], None),
        (["Ada", "Totally"], None),
        (["Ada", "7"], None),
        ([], None),
    ],
)
def test_a_total_as_the_last_row_is_found(names: list[str], total: str | None) -> None:
    rows = [{"id": "", "Full Name": name} for name in names]
    assert survey(ListSource(rows), InputMapping(LEADS), 3).total == total


HEADERS: dict[str, tuple[str, dict[str, str] | None, str]] = {
    "a row": ("Ada,Acme", None, "none of its fields is an input: 'Ada', 'Acme'; the grid takes 'Full Name'"),
    "a separator that is not seen": ("Full Name;Company,x;Tag", None, r"\(if cells are separated by ';'"),
    "no required input": (
        "x,Name",
        {"Company": "Name"},
        (
            "^input_fields names no field for the required input 'Full Name'; there are 'Name', 'x'. "
            "Write input_fields={'Full Name': '…', 'Company': 'Name'} with the field that is meant$"
        ),
    ),
    "no mapped field": (
        "Full Name",
        {"Full Name": "Nme"},
        "no row has the field 'Nme'; there are 'Full Name'",
    ),
}


@pytest.mark.parametrize(("header", "mapping", "problem"), HEADERS.values(), ids=HEADERS.keys())
def test_a_header_is_checked_without_rows(
    header: str, mapping: dict[str, str] | None, problem: str, tmp_path: Path
) -> None:
    path = write(folder_in("file", tmp_path) / "a.csv", f"{header}\n".encode())
    with pytest.raises(InvalidRequestError, match=problem):
        survey(FileSource(path), InputMapping(LEADS, mapping), 3)


# Fields of a table whose rows have none for the required input, and what is told once for all of them.
NO_REQUIRED: list[tuple[list[str], str]] = [
    (
        ["Company", "Name"],
        "'Name', 'Company'. Write input_fields={'Full Name': '…', 'Company': 'Company'} with",
    ),
    (
        ["First Name", "Last Name", "company"],
        (
            "'Last Name', 'First Name', 'company'. "
            "Write input_fields={'Full Name': '…', 'company': 'company'} with"
        ),
    ),
    (["Contact: Full Name", "Company"], "'Contact: Full Name', 'Company'. Write"),
    (["\xef\xbb\xbfFull Name", "Company"], "'\xef\xbb\xbfFull Name', 'Company'. Write"),
]


@pytest.mark.parametrize(("fields", "there_are"), NO_REQUIRED)
def test_a_required_input_without_a_field_is_told_once_with_the_way_out(
    fields: list[str], there_are: str
) -> None:
    told: list[Any] = []
    with pytest.raises(InvalidRequestError) as caught:
        survey(ListSource([dict.fromkeys(fields, "x")] * 3), InputMapping(LEADS), 3, tell_fields=told.append)
    assert caught.value.message.startswith(
        f"no field is the required input 'Full Name'; there are {there_are}"
    )
    assert told == [tuple(fields)]


def test_a_required_input_that_some_rows_lack_is_told_of_those_rows() -> None:
    with pytest.raises(InvalidRequestError, match=r"^1 of 2 rows cannot be run: row 2: the required input"):
        survey(ListSource([JANE, {"Company": "x"}]), InputMapping(LEADS), 3)


@pytest.mark.parametrize("data", ["full_name,x\n", ""])
def test_a_table_without_rows_is_none_too_few(data: str, tmp_path: Path) -> None:
    path = write(folder_in("file", tmp_path) / "a.csv", data.encode())
    assert survey(FileSource(path), InputMapping(LEADS), 3).rows == 0


def test_of_many_fields_the_nearest_are_listed_first() -> None:
    row = {f"field {number}": "x" for number in range(30)} | {"e-mail": "x"}
    with pytest.raises(InvalidRequestError) as caught:
        survey(ListSource([row]), InputMapping(LEADS, {"Full Name": "Email"}), 3)
    assert caught.value.message.startswith("no row has the field 'Email'; there are 'e-mail', 'field ")
    assert caught.value.message.endswith(" and 11 more")


@pytest.mark.parametrize("mapping", [None, {"Full Name": "name"}])
@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("name;company", "(if cells are separated by ';', write sep= and that character as the first line)"),
        ("name\tcompany|x", r"(if cells are separated by '\t', write sep="),
        ("title", None),
    ],
)
def test_other_separators_than_commas_are_guessed(
    mapping: dict[str, str] | None, header: str, hint: str | None
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        survey(ListSource([{header: "Jane"}]), InputMapping(LEADS, mapping), 3)
    assert (hint or "sep=") in caught.value.message or hint is None
    assert hint is not None or "sep=" not in caught.value.message


def test_the_fields_of_all_rows_are_known_in_the_order_in_which_they_come() -> None:
    rows: list[dict[str, Any]] = [
        JANE,
        {"phone": "1", **JANE},
        {"Company": None, "id": 7, "phone": "2", **JANE},
    ]
    assert survey(ListSource(rows), InputMapping(LEADS), 1).fields == ("Full Name", "phone", "Company", "id")


def test_words_that_may_mean_nothing_are_counted_with_the_first_places() -> None:
    names = ["Null", "Ada", "null", "NULL", "NULL", "NULL", "NULL", "n/a", "Nulla", "-", "-----", "\u2764"]
    found = survey(
        ListSource([{"Full Name": name, "note": "NULL"} for name in names]), InputMapping(LEADS), 4
    )
    assert [(word.word, word.rows, word.places) for word in found.possible_nulls] == [
        ("Null", 1, ["row 1"]),
        ("null", 1, ["row 3"]),
        ("NULL", 4, ["row 4", "row 5", "row 6"]),
        ("n/a", 1, ["row 8"]),
        ("-", 1, ["row 10"]),
        ("-----", 1, ["row 11"]),
        ("\u2764", 1, ["row 12"]),
    ]
    assert found.possible_nulls[2].warning("Full Name") == (
        "4 rows have 'NULL' as Full Name (row 4, row 5, row 6, …), and it is sent as it is; if that means "
        "nothing: null_values=['NULL', …]"
    )
    assert (
        found.possible_nulls[0].warning("Full Name").startswith("1 row has 'Null' as Full Name (row 1), and")
    )


def test_words_that_make_rows_duplicates_are_told() -> None:
    rows = [{**JANE, "id": word, "n": "NULL"} for word in ("NULL", " NULL", "-", "7", "7", "", "")]
    found = survey(ListSource(rows), InputMapping(LEADS, None, "id"), 4)
    assert found.duplicates == 2
    [word] = found.possible_key_nulls
    assert word.key_warning == (
        "2 rows have 'NULL' as id (row 1, row 2), which row_key names, so they may be duplicates; "
        "if that means nothing: null_values=['NULL', …]"
    )
    assert not survey(ListSource(rows), InputMapping(LEADS, None, "id", ["NULL"]), 4).possible_key_nulls


def test_a_large_file_is_surveyed_and_cut_without_being_all_in_memory(tmp_path: Path) -> None:
    lines = (f"Jane {number},{'x' * 4000}\n" for number in range(3_000))
    path = write(folder_in("file", tmp_path) / "a.csv", ("Full Name,note\n" + "".join(lines)).encode())
    source = FileSource(path)
    mapping = InputMapping(LEADS, None, "Full Name")
    tracemalloc.start()
    try:
        found = survey(source, mapping, 100)
        assert sum(len(segment.rows) for segment in read_segments(source, mapping, 100, found)) == 3_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 4
