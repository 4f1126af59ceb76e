"""What is wrong with an operator's options, as a table."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_bitscale.api import ClientConfig
from airflow_provider_bitscale.api.config import V1_1_0, WORKSPACE_KEY
from airflow_provider_bitscale.api.contracts import contract_for
from airflow_provider_bitscale.runs.options import RunOptions, option_problems, seconds

DEFAULTS: dict[str, Any] = {
    "grid_id": "g",
    "inputs": {"Full Name": "Jane"},
    "templated_inputs": (),
    "output_columns": None,
    "mode": "async",
    "webhook_url": None,
    "trust_webhook": False,
    "wait_for_completion": True,
    "deferrable": None,
    "poll_interval": 5,
    "timeout": 3600,
    "execution_timeout": None,
    "min_credits": None,
    "validate_inputs": True,
    "miss_values": (),
    "key_outputs_by": "name",
    "on_ambiguous_submit": "fail",
    "bitscale_conn_id": "bitscale_default",
}
FINE: list[dict[str, Any]] = [
    {},
    {"mode": "async", "deferrable": True, "wait_for_completion": False},
    {"mode": "sync", "deferrable": None, "wait_for_completion": True},
    {"mode": "sync", "deferrable": True},
    {"mode": "sync", "deferrable": False},
    {"poll_interval": 0.5, "timeout": 1, "min_credits": 0},
    {"miss_values": ()},
    {"miss_values": ["No email found", ""]},
    {"min_credits": None, "key_outputs_by": "id", "on_ambiguous_submit": "resubmit"},
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"mode": "sync", "wait_for_completion": False}, "wait_for_completion=False goes with mode='async' only"),
    ({"poll_interval": 0}, "poll_interval must be a number of seconds above 0, not 0"),
    ({"poll_interval": "5"}, "poll_interval must be a number of seconds above 0, not '5'"),
    ({"timeout": float("nan")}, "timeout must be a number of seconds above 0, not nan"),
    ({"timeout": True}, "timeout must be a number of seconds above 0, not True"),
    ({"min_credits": -1}, "min_credits must be a number that is not negative, not -1"),
    ({"min_credits": "9"}, "min_credits must be a number that is not negative, not '9'"),
    ({"miss_values": "No email found"}, "miss_values must be a list of texts, not 'No email found'"),
    ({"miss_values": [None]}, "miss_values must be a list of texts, not [None]"),
    ({"deferrable": "yes"}, "deferrable must be True or False, not 'yes'"),
    ({"validate_inputs": None}, "validate_inputs must be True or False, not None"),
    ({"key_outputs_by": "label"}, "key_outputs_by must be name or id, not 'label'"),
    ({"on_ambiguous_submit": "retry"}, "on_ambiguous_submit must be fail or resubmit, not 'retry'"),
]


def problems(**options: Any) -> list[str]:
    return RunOptions(**{**DEFAULTS, **options}).problems()


@pytest.mark.parametrize("options", FINE, ids=str)
def test_nothing_is_said_against_what_is_fine(options: dict[str, Any]) -> None:
    assert problems(**options) == []
    assert option_problems(**options) == []


@pytest.mark.parametrize(("options", "problem"), WRONG, ids=str)
def test_each_problem_is_named(options: dict[str, Any], problem: str) -> None:
    [told] = problems(**options)
    assert told.startswith(problem)


def test_all_problems_are_named_at_once() -> None:
    assert len(problems(poll_interval=0, timeout=0, min_credits=-1, grid_id="")) == 4


def test_a_duration_may_be_a_timedelta() -> None:
    assert seconds(timedelta(minutes=2)) == 120.0
    assert seconds(5) == 5


@pytest.mark.parametrize(
    ("contract", "mode", "deferrable", "refused"),
    [
        (V1_1_0, "sync", True, True),
        (V1_1_0, "sync", None, False),
        (V1_1_0, "sync", False, False),
        (V1_1_0, "async", True, False),
        (WORKSPACE_KEY, "sync", True, False),
        (WORKSPACE_KEY, "async", True, False),
    ],
)
def test_a_sync_run_is_awaited_in_the_triggerer_where_it_may_be_answered_before_its_end(
    contract: str, mode: str, deferrable: bool | None, refused: bool
) -> None:
    speaking = contract_for(ClientConfig(api_key="k", api_contract=contract))
    options = RunOptions(**{**DEFAULTS, "mode": mode, "deferrable": deferrable})
    assert (options.unsupported(speaking) is not None) is refused
