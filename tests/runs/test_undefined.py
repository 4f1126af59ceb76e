"""What a template made of a value that is not there is told from a value."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.runs.undefined import GivenArguments, inputs_without_value, templated

# An argument, what it was, what it is now, and whether it came to nothing.
ARGUMENTS: list[tuple[str, Any, Any, bool]] = [
    ("max_credits", "{{ conf.cap }}", None, True),
    ("max_credits", "{{ conf.cap }}", "100", False),
    ("max_credits", None, None, False),
    ("output_columns", "{{ columns }}", None, True),
    ("rows", object(), [], False),
    ("inputs", "{{ inputs }}", {"Name": "None"}, False),
    ("output_path", "{{ path }}", "None", True),
    ("output_path", "{{ path }}", "", True),
    ("output_path", "{{ path }}", " \u00a0\n", True),
    ("output_path", "s3://bucket", "s3://bucket", False),
    ("rows_path", "None", "None", True),
    ("grid_id", "{{ grid }}", "nan", True),
    ("grid_id", "{{ grid }}", float("nan"), True),
    ("grid_id", "{{ grid }}", "nan_1", False),
    ("run_id", "{{ run }}", "null", True),
    ("workspace_id", "{{ workspace }}", "<NA>", True),
    ("grid_id", "{{ var.value.get('grid') }}", "NOTSET", True),
    ("bitscale_conn_id", "{{ conn }}", "undefined", True),
    ("webhook_url", "{{ url }}", "none", True),
    ("delivery_address", object(), None, False),
]


@pytest.mark.parametrize(("name", "given", "now", "expected"), ARGUMENTS)
def test_what_an_argument_came_to(name: str, given: Any, now: Any, expected: bool) -> None:
    problems = GivenArguments({name: given}).problems({name: now})
    assert bool(problems) is expected
    assert all(problem.startswith(f"{name} came to {now!r}") for problem in problems)


# A value of an input; then what becomes of it: of a template, of one for a required input, and of a
# required one that is no template. The last column: of one that is neither.
INPUTS: dict[Any, tuple[str, str, str, str]] = {
    "None": ("refused", "refused", "refused", "told"),
    " None\n": ("refused", "refused", "refused", "told"),
    "nan": ("refused", "refused", "refused", "told"),
    "NaT": ("refused", "refused", "refused", "told"),
    "<NA>": ("refused", "refused", "refused", "told"),
    "NOTSET": ("refused", "refused", "refused", "told"),
    "": ("told", "refused", "refused", "sent"),
    "\u00a0 ": ("told", "refused", "refused", "sent"),
    "\u200b": ("told", "refused", "refused", "sent"),
    None: ("told", "refused", "refused", "sent"),
    r"\N": ("told", "refused", "refused", "told"),
    " #N/A ": ("told", "refused", "refused", "told"),
    "Null": ("sent", "sent", "sent", "sent"),
    "Nan": ("sent", "sent", "sent", "sent"),
    "none of your business": ("sent", "sent", "sent", "sent"),
    0: ("sent", "sent", "sent", "sent"),
}


@pytest.mark.parametrize(("value", "outcomes"), INPUTS.items(), ids=repr)
def test_what_an_input_came_to(value: Any, outcomes: tuple[str, str, str, str]) -> None:
    inputs = {"Name": value, "Company": "Acme"}
    found = []
    for templates, required in ((["Name"], []), (["Name"], ["Name"]), ([], ["Name"]), ([], [])):
        refused, told = inputs_without_value(inputs, templates, required)
        assert len(refused) + len(told) <= 1
        assert all("'Name'" in problem for problem in refused + told)
        found.append("refused" if refused else "told" if told else "sent")
    assert tuple(found) == outcomes


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"Name": None},
        {"Name": "", "Company": " "},
        {"Name": "None", "A": None},
        {"Name": []},
        {"Name": "\u200b"},
        {"Name": "#REF!", "A": {}},
    ],
    ids=repr,
)
def test_inputs_of_which_none_has_a_value_are_refused(inputs: dict[str, Any]) -> None:
    refused, _ = inputs_without_value(inputs, (), ())
    assert refused == ["no input has a value, and a blank row would be paid for"]


def test_no_inputs_are_what_a_grid_without_any_takes() -> None:
    assert inputs_without_value({}, (), (), may_be_none=True) == ([], [])


def test_which_inputs_are_templates() -> None:
    inputs = {"a": "{{ x }}", "b": "{% if x %}x{% endif %}", "c": "x", "d": 1, "e": None}
    assert templated(inputs) == {"a", "b"}
    assert templated("{{ inputs }}") == frozenset()
