"""Bad input is a clear error before any credit is spent: at parse time where nothing needs rendering."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

import pytest
from airflow.sdk import DAG, XComArg
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api.config import V1_1_0
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.sensors.credits import CreditsSensor
from airflow_provider_bitscale.sensors.run_completed import RunCompletedSensor
from tests.support.clients import posted_bodies
from tests.support.task_runs import TaskRun

NAME = {"Full Name": "Jane Doe"}


def operator(**arguments: Any) -> RunGridOperator:
    return RunGridOperator(**{"task_id": "enrich", "grid_id": "grid_001", "inputs": NAME, **arguments})


AT_PARSE_TIME: list[tuple[str, dict[str, Any], str]] = [
    ("empty grid id", {"grid_id": ""}, "grid_id must be a non-empty string, not ''"),
    ("blank grid id", {"grid_id": " \t"}, "grid_id must be a non-empty string"),
    ("number as grid id", {"grid_id": 1}, "grid_id must be a non-empty string, not 1"),
    ("no grid id", {"grid_id": None}, "grid_id must be a non-empty string, not None"),
    ("inputs a list", {"inputs": ["Jane"]}, "inputs must be a dict .*, not list"),
    ("inputs a text", {"inputs": "Jane"}, "inputs must be a dict .*, not str"),
    ("inputs none", {"inputs": None}, "inputs must be a dict .*, not NoneType"),
    ("a key that is no text", {"inputs": {**NAME, 7: "x"}}, "inputs has the key 7"),
    ("an empty key", {"inputs": {**NAME, "": "x"}}, "inputs has the key ''"),
    ("output columns a text", {"output_columns": "Label"}, "output_columns must be a list"),
    ("output columns of numbers", {"output_columns": [1]}, "output_columns must be a list"),
    ("no output columns", {"output_columns": []}, "output_columns is empty"),
    ("unknown mode", {"mode": "batch"}, "mode must be one of async, sync, not 'batch'"),
    ("webhook by http", {"webhook_url": "http://example.com/x"}, "webhook_url must be an https:// URL"),
    ("webhook at localhost", {"webhook_url": "https://localhost/x"}, "webhook_url must be publicly reach"),
    ("webhook at loopback", {"webhook_url": "https://127.0.0.1/x"}, "webhook_url must be publicly reach"),
    ("webhook at IPv6 loopback", {"webhook_url": "https://[::1]/x"}, "webhook_url must be publicly reach"),
    ("webhook at a private address", {"webhook_url": "https://10.0.0.1/"}, "webhook_url must be publicly"),
    ("webhook without a host", {"webhook_url": "https:///x"}, "webhook_url must be an https:// URL"),
    ("webhook a number", {"webhook_url": 1}, "webhook_url must be an https:// URL"),
    ("webhook with sync", {"webhook_url": "https://example.com", "mode": "sync"}, "webhook_url goes with"),
    ("no wait with sync", {"wait_for_completion": False, "mode": "sync"}, "wait_for_completion=False goes"),
    ("negative credits", {"min_credits": -1}, "min_credits must be a number that is not negative, not -1"),
    ("no interval", {"poll_interval": 0}, "poll_interval must be a number of seconds above 0, not 0"),
    ("negative timeout", {"timeout": -1}, "timeout must be a number of seconds above 0, not -1"),
    ("text for a number", {"min_credits": "100"}, "min_credits must be a number"),
    ("no number", {"timeout": float("nan")}, "timeout must be a number of seconds"),
    ("text for a flag", {"validate_inputs": "no"}, "validate_inputs must be True or False"),
    ("unknown keys", {"key_outputs_by": "label"}, "key_outputs_by must be name or id, not 'label'"),
    ("unknown choice", {"on_ambiguous_submit": "retry"}, "on_ambiguous_submit must be fail or resubmit"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), [case[1:] for case in AT_PARSE_TIME], ids=[case[0] for case in AT_PARSE_TIME]
)
def test_what_needs_no_rendering_is_refused_at_parse_time(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(api.InvalidRequestError, match=message) as caught:
        operator(**arguments)
    assert isinstance(caught.value, AirflowFailException)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(api.InvalidRequestError) as caught:
        operator(grid_id="", inputs=[], mode="batch", min_credits=-1, poll_interval=0)
    for named in ("grid_id", "inputs", "mode", "min_credits", "poll_interval"):
        assert named in str(caught.value)


@pytest.mark.parametrize(
    ("field", "template", "rendered", "message"),
    [
        ("grid_id", "{{ params.grid }}", "", "grid_id came to ''"),
        ("grid_id", "{{ params.grid }}", None, "grid_id came to None"),
        ("grid_id", "{{ params.grid }}", "None", "grid_id came to 'None'"),
        ("bitscale_conn_id", "{{ params.conn }}", "None", "bitscale_conn_id came to 'None'"),
        ("webhook_url", "{{ params.url }}", None, "webhook_url came to None"),
        ("output_columns", "{{ params.columns }}", None, "output_columns came to None"),
        ("inputs", {"Full Name": "{{ params.name }}"}, {"Full Name": "None"}, "'Full Name' came to 'None'"),
        ("inputs", {"Full Name": "{{ params.name }}"}, {"Full Name": " "}, "Full Name"),
        (
            "inputs",
            {"Full Name": "Ada", "Company": "{{ params.name }}"},
            {"Full Name": "Ada", "Company": "None"},
            "'Company' came to 'None'.*validate_inputs=False",
        ),
        ("inputs", "{{ params.row }}", "['Jane']", "inputs must be a dict"),
        ("inputs", {"Full Name": "{{ params.name }}"}, {}, "the required input 'Full Name' is missing"),
        ("output_columns", "{{ params.columns }}", [], "output_columns is empty"),
        ("webhook_url", "{{ params.url }}", "http://example.com", "must be an https:// URL"),
        ("webhook_url", "{% if 1 %}x{% endif %}", "https://localhost", "publicly reachable"),
        ("inputs", {"Full Name": "{{ x }}"}, {"Full Name": datetime(2026, 1, 1)}, "the inputs are not JSON"),
        ("inputs", {"Full Name": "{{ x }}"}, {"Full Name": float("nan")}, "the inputs are not JSON"),
    ],
)
def test_what_needs_rendering_is_refused_at_run_time_before_the_post(
    field: str, template: Any, rendered: Any, message: str, emulator: Emulator
) -> None:
    def make() -> RunGridOperator:
        task = operator(**{field: template})
        setattr(task, field, rendered)  # as Airflow's rendering does
        return task

    run = TaskRun(make)
    with pytest.raises(api.InvalidRequestError, match=message) as caught:
        run.attempt()
    assert isinstance(caught.value, AirflowFailException)
    assert (posted_bodies(emulator), run.store.values) == ([], {})


def test_references_to_other_tasks_pass_at_parse_time() -> None:
    with DAG("d", schedule=None):
        first = operator(task_id="first")
        operator(
            inputs=XComArg(first),
            grid_id=XComArg(first, key="grid"),
            output_columns=XComArg(first),
            webhook_url=XComArg(first),
        )
        operator(task_id="nested", inputs={"Full Name": XComArg(first)}, output_columns=["{{ x }}"])
        RunGridOperator.partial(task_id="mapped", grid_id="grid_001").expand(inputs=XComArg(first))


AGAINST_THE_GRID: list[tuple[str, dict[str, Any], str]] = [
    ("unknown column", {"Ful Name": "x"}, "there is no column 'Ful Name'; did you mean 'Full Name'"),
    ("column that takes no input", {"Enriched Email": "x"}, "column 'Enriched Email' takes no input"),
    ("required missing", {"Full Name": None}, "the required input 'Full Name' is missing"),
    ("required empty", {"Full Name": ""}, "the required input 'Full Name' is missing"),
    ("text", {"Company": 5}, "column 'Company' takes text, not 5"),
    ("number as text", {"Employees": "12"}, "column 'Employees' takes a number, not '12'"),
    ("boolean for a number", {"Employees": True}, "column 'Employees' takes a number, not True"),
    ("boolean as text", {"Is Customer": "true"}, "column 'Is Customer' takes true or false, not 'true'"),
    ("number for a boolean", {"Is Customer": 1}, "column 'Is Customer' takes true or false, not 1"),
    ("date", {"Last Contact": "yesterday"}, "column 'Last Contact' takes an ISO 8601 date"),
    ("url", {"Website": "acme.com"}, r"column 'Website' takes an http\(s\) URL, not 'acme.com'"),
    ("email", {"Known Email": "jane at acme"}, "column 'Known Email' takes an email address"),
    (
        "given twice",
        {"3f7a1c2e-9b4d-4e8f-a012-bc3d56ef7890": "x"},
        "an input is given twice: as 'Full Name' and as",
    ),
]


@pytest.mark.parametrize(
    ("extra", "message"), [case[1:] for case in AGAINST_THE_GRID], ids=[case[0] for case in AGAINST_THE_GRID]
)
def test_a_row_that_does_not_fit_the_grid_is_refused_before_the_post(
    extra: dict[str, Any], message: str, emulator: Emulator
) -> None:
    _assert_refused(emulator, message, inputs={**NAME, **extra})


def test_all_that_is_wrong_with_a_row_is_named_at_once(emulator: Emulator) -> None:
    with pytest.raises(api.InvalidRequestError) as caught:
        TaskRun(lambda: operator(inputs={"Employees": "12", "Websit": "x"})).attempt()
    for named in ("Employees", "Websit", "Website", "Full Name", "Lead Enrichment — Q1"):
        assert repr(named) in str(caught.value)


def test_columns_of_the_same_name_are_listed_by_id(emulator: Emulator) -> None:
    ids = "07b8c9d0-e1f2-4456-8123-567890123456, 18c9d0e1-f203-4567-8234-678901234567"
    message = re.escape(f"2 columns are named 'Contact'; use an id: {ids}")
    _assert_refused(emulator, message, grid_id="grid_002", inputs={"Domain": "a.com", "Contact": "x"})
    _assert_refused(emulator, message, grid_id="grid_002", inputs={"Domain": "a"}, output_columns=["Contact"])


def test_an_unknown_output_column_is_refused_before_the_post(emulator: Emulator) -> None:
    _assert_refused(emulator, "did you mean 'LinkedIn URL'", output_columns=["Linkedin"])


def test_an_unknown_grid_is_refused_before_the_post(emulator: Emulator) -> None:
    run = TaskRun(lambda: operator(grid_id="grid_999"))
    with pytest.raises(api.NotFoundError, match="GRID_NOT_FOUND") as caught:
        run.attempt()
    assert isinstance(caught.value, AirflowFailException)
    assert (posted_bodies(emulator), run.store.values) == ([], {})


def _assert_refused(emulator: Emulator, message: str, **arguments: Any) -> None:
    run = TaskRun(lambda: operator(**arguments))
    with pytest.raises(api.InvalidRequestError, match=message) as caught:
        run.attempt()
    assert isinstance(caught.value, AirflowFailException)
    assert (posted_bodies(emulator), run.store.values) == ([], {})


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: CreditsSensor(task_id="s", min_credits=-1), id="negative credits"),
        pytest.param(
            lambda: RunCompletedSensor(task_id="s", grid_id="g", run_id="r", key_outputs_by=cast("Any", "x")),
            id="keys",
        ),
    ],
)
def test_a_sensor_refuses_at_parse_time_too(make: Callable[[], Any]) -> None:
    with pytest.raises(api.InvalidRequestError):
        make()


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    "ids",
    [
        pytest.param({"grid_id": "", "run_id": "run_1"}, id="grid id"),
        pytest.param({"grid_id": "grid_001", "run_id": ""}, id="run id"),
        pytest.param({"grid_id": "grid_001", "run_id": ".."}, id="dots"),
    ],
)
def test_a_sensor_refuses_ids_that_are_none(
    ids: dict[str, Any], deferrable: bool, emulator: Emulator
) -> None:
    def make() -> RunCompletedSensor:
        return RunCompletedSensor(task_id="s", **ids, deferrable=deferrable, poke_interval=0.05, timeout=5)

    with pytest.raises(api.InvalidRequestError, match=r"must be a non-empty id|came to ''"):
        TaskRun(make).attempt()
    assert emulator.control.requests() == []


@pytest.mark.parametrize("contract", [V1_1_0])
def test_a_wait_that_the_contract_does_not_have_is_refused_before_the_post(emulator: Emulator) -> None:
    run = TaskRun(lambda: operator(mode="sync", deferrable=True))
    with pytest.raises(api.UnsupportedError, match="deferrable=True goes with mode='async' only") as caught:
        run.attempt()
    assert isinstance(caught.value, AirflowFailException)
    assert (posted_bodies(emulator), run.store.values) == ([], {})
