"""Which failures of a run concern the whole account, so that another run would fail alike."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.api.errors import (
    InsufficientCreditsError,
    RunFailedError,
    RunLimitExceededError,
)
from airflow_provider_bitscale.runs.failures import account_error, failure_of

REASONS: dict[str | None, Any] = {
    "INSUFFICIENT_CREDITS: Not enough credits to run this grid.": InsufficientCreditsError,
    "insufficient_credits": InsufficientCreditsError,
    "OUT_OF_CREDITS: top up": InsufficientCreditsError,
    "CREDIT_LIMIT_REACHED: no more today": InsufficientCreditsError,
    "Not enough credits": InsufficientCreditsError,
    "Insufficient workspace credits to continue": InsufficientCreditsError,
    "RUN_LIMIT_EXCEEDED: 1,000 of 1,000 runs": RunLimitExceededError,
    "QUOTA_EXCEEDED: the plan's runs are used up": RunLimitExceededError,
    "RUN_FAILED: the agent gave up": None,
    "RUN_FAILED: INSUFFICIENT_CREDITS at the mail provider": None,
    "The agent found that the company has not enough credits": None,
    "LinkedIn: quota exceeded": None,
    "RATE_LIMITED: too many requests": None,
    "Credit Suisse is no customer": None,
    "": None,
    None: None,
}


@pytest.mark.parametrize(("reason", "kind"), REASONS.items())
def test_what_a_reason_tells_of(reason: str | None, kind: Any) -> None:
    assert account_error(reason) is kind
    failure = failure_of(RunFailedError("run run_1 failed", status=200), reason)
    assert type(failure) is (kind or RunFailedError)
    assert "run run_1 failed" in str(failure)
