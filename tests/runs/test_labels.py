"""Inputs by the labels of a run recipe: never guessed, and nothing that might be billed as a blank row."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.api import InvalidRequestError, RunRecipe
from airflow_provider_bitscale.api.parsing import parse_grid
from airflow_provider_bitscale.runs.inputs import input_columns, resolve_inputs

COLUMNS = {
    "c-name": "Full Name",
    "c-company": "Company",
    "c-mail": "Email",
    "c-mail1": "Email 1",
    "c-contact1": "Contact",
    "c-contact2": "Contact",
    "c-site": "Web-Site (URL)",
    "c-out": "Enriched Email",
}
GRID = parse_grid(
    {"id": "g", "name": "Leads", "columns": [{"id": key, "name": name} for key, name in COLUMNS.items()]}
)
LABELS = ("full_name", "company", "email", "email_1", "contact", "contact_2", "web_site_url", "größe")


def recipe(*labels: str) -> RunRecipe:
    return RunRecipe("g", "Leads", labels or LABELS, (), {})


MEANT: dict[str, tuple[str, str]] = {
    "the label": ("full_name", "full_name"),
    "the column's name": ("Full Name", "full_name"),
    "the column's id": ("c-name", "full_name"),
    "near-equal names": ("Email 1", "email_1"),
    "punctuation": ("Web-Site (URL)", "web_site_url"),
    "a label of a shared name": ("contact", "contact"),
    "the other": ("contact_2", "contact_2"),
    "no column at all": ("größe", "größe"),
    "another spelling of that": ("GRÖSSE", "größe"),
}


@pytest.mark.parametrize(("key", "label"), MEANT.values(), ids=MEANT.keys())
def test_a_key_that_can_mean_one_label_only(key: str, label: str) -> None:
    assert resolve_inputs(GRID, {key: "x"}, recipe()) == {label: "x"}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "not listed": ({"Enriched Email": "x"}, "the run takes no input 'Enriched Email'"),
    "not listed, by id": ({"c-out": "x"}, "the run takes no input 'c-out'"),
    "misspelt": ({"Compny": "x"}, "no input 'Compny'; did you mean 'company'?"),
    "nothing near": ({"zzz": "x"}, "no input 'zzz'; it takes 'full_name', 'company', 'email'"),
    "a name that two columns have": ({"Contact": "x"}, "'Contact' may mean more than one input; use a label"),
    "one of them by its id": ({"c-contact2": "x"}, "'c-contact2' may mean more than one input"),
    "twice": ({"Company": "x", "c-company": "y"}, "an input is given twice: as 'Company' and as 'c-company'"),
}


@pytest.mark.parametrize(("inputs", "problem"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("validate", [True, False])
def test_what_might_be_billed_as_a_blank_row_is_refused(
    inputs: dict[str, Any], problem: str, validate: bool
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        resolve_inputs(GRID, inputs, recipe(), validate=validate)
    assert caught.value.message.startswith("grid 'Leads': ")
    assert problem in caught.value.message


def test_labels_that_are_spelt_alike_are_told_apart_by_themselves_only() -> None:
    twins = recipe("Company", "company")
    assert resolve_inputs(GRID, {"Company": "x", "company": "y"}, twins) == {"Company": "x", "company": "y"}
    with pytest.raises(InvalidRequestError, match="may mean more than one"):
        resolve_inputs(GRID, {"c-company": "x"}, twins)


@pytest.mark.parametrize("value", [0, False, "x", ["a"], {"b": None}, "{{ ds }}"])
def test_values_are_sent_as_they_are_and_none_is_left_out(value: Any) -> None:
    assert resolve_inputs(GRID, {"company": value, "email": None}, recipe()) == {"company": value}


def test_only_what_a_grid_says_to_be_an_input_echoes_one() -> None:
    assert input_columns(GRID) == []
    told = parse_grid({"id": "g", "columns": [{"id": "a", "is_input": True}, {"id": "b", "is_input": False}]})
    assert input_columns(told) == ["a"]
