"""A run that a person names is taken only if this grid has it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.api.errors import (
    AuthenticationError,
    BitScaleError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    TransportError,
)
from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.runs.adoption import refusal

TAKEN: dict[str, dict[str, Any]] = {
    "completed": {"run_id": "run_1", "status": "completed", "outputs": {}},
    "failed": {"run_id": "run_1", "status": "failed"},
    "running": {"run_id": "run_1", "status": "running", "grid_id": "grid_001"},
    "without an id": {"status": "running"},
}
REFUSED: dict[str, tuple[Run | BitScaleError, str]] = {
    "another run": (parse_run({"run_id": "run_2", "status": "running"}), "another run, 'run_2'"),
    "another grid": (
        parse_run({"run_id": "run_1", "status": "running", "grid_id": "grid_2"}),
        "another grid, 'grid_2'",
    ),
    "unknown": (NotFoundError("no such run", status=404), "404: no such run"),
    "no id": (InvalidRequestError("bad run id", status=400), "400: bad run id"),
}
CANNOT_TELL = [
    AuthenticationError("no such key", status=401),
    RateLimitedError("slow down", status=429),
    ServerError("oops", status=502),
    TransportError("no answer"),
]


@pytest.mark.parametrize("answer", TAKEN.values(), ids=TAKEN)
def test_a_run_of_this_grid_is_taken(answer: dict[str, Any]) -> None:
    assert refusal(parse_run(answer), grid_id="grid_001", run_id="run_1") is None


@pytest.mark.parametrize(("seen", "why"), REFUSED.values(), ids=REFUSED)
def test_any_other_is_refused(seen: Run | BitScaleError, why: str) -> None:
    error = refusal(seen, grid_id="grid_001", run_id="run_1")
    assert isinstance(error, InvalidRequestError)
    assert why in str(error)
    assert "Nothing was submitted" in str(error)


@pytest.mark.parametrize("problem", CANNOT_TELL, ids=lambda problem: type(problem).__name__)
def test_a_poll_that_does_not_tell_keeps_its_error(problem: BitScaleError) -> None:
    assert refusal(problem, grid_id="grid_001", run_id="run_1") is problem
