"""The settings of an emulator, checked once."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from airflow_provider_bitscale.emulator.rate_limit import HINTS

V1_1_0 = "v1.1.0"
WITH_WORKSPACE_KEYS = "workspace-key"
LOOPBACK, ALL_ADDRESSES = "127.0.0.1", "0.0.0.0"  # noqa: S104
CONTRACTS = (V1_1_0, WITH_WORKSPACE_KEYS)

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True, eq=False, config=ConfigDict(use_attribute_docstrings=True))
class Settings:
    """What one emulator shall be like; the command line shows the text below each setting as its help.

    :raises ValueError: a setting is out of range; the message names it.
    """

    port: int = 0
    """Where to listen; 0 takes any free port."""
    host: str = LOOPBACK
    """127.0.0.1, or 0.0.0.0 to serve other machines and containers, too; its control interface (faults,
    state) serves this machine alone."""
    seed: int | None = None
    """The same seed, inputs and order of runs give the same answers, costs, durations and run ids. None:
    those of seed 0, but with run ids that no other process and no reset repeats."""
    credits: NonNegativeInt = 65_800
    """Credits left in the demo workspace at the start."""
    run_seconds: tuple[NonNegativeFloat, NonNegativeFloat] = (0.2, 0.5)
    """Lowest and highest duration of a run, in seconds; log-normal between them, most runs near their
    geometric mean (uniform if the lowest is 0)."""
    slow_runs: tuple[Share, NonNegativeFloat] = (0.0, 0.0)
    """Share of runs, from 0 to 1, and the seconds that each of those takes instead."""
    rate_limit: tuple[PositiveInt, PositiveFloat] | None = None
    """Requests, and the window in seconds, per API key, under workspace-key per workspace; None sets no limit
    and sends no headers that tell of one."""
    run_limit: NonNegativeInt | None = None
    """How many runs the plan allows before RUN_LIMIT_EXCEEDED; None: any number."""
    webhook_target: str | None = None
    """A loopback origin that stands for the internet: a webhook to https://any.host/path?q goes to this
    origin + /path?q. None: webhooks are recorded as undeliverable."""
    webhook_backoff: NonNegativeFloat = 1.0
    """Seconds before the first webhook retry; doubled for each further one."""
    webhook_timeout: PositiveFloat = 10.0
    """Seconds a receiver has to acknowledge a webhook."""
    contract: str = V1_1_0
    """v1.1.0, the documented API with api_key and workspace-id, or workspace-key, its successor with
    X-API-KEY, inputs by label and runs found by request id."""
    sync_cut_off: NonNegativeFloat = 120.0
    """Seconds after which workspace-key answers a sync request whose run has not ended."""
    miss_rate: Share = 0.0
    """Share of enrichments, from 0 to 1, that complete without a find."""
    extra_grids: NonNegativeInt = 0
    """How many further grids without a data source the demo workspace has."""
    rate_limit_hints: str | None = None
    """What answers tell of the limit: headers (X-RateLimit-* on every answer), retry-after (only how long to
    wait, on the 429) or nothing. None: headers under v1.1.0, nothing under workspace-key."""

    def __post_init__(self) -> None:
        low, high = self.run_seconds
        if low > high:
            raise ValueError(f"run_seconds must be (low, high) with low <= high, got {self.run_seconds}")
        if self.host not in {LOOPBACK, ALL_ADDRESSES}:
            raise ValueError(f"host must be {LOOPBACK} or {ALL_ADDRESSES}, got {self.host!r}")
        if self.contract not in CONTRACTS:
            raise ValueError(f"contract must be one of {', '.join(CONTRACTS)}, got {self.contract!r}")
        if self.rate_limit_hints not in {None, *HINTS}:
            raise ValueError(
                f"rate_limit_hints must be None or one of {', '.join(HINTS)}, got {self.rate_limit_hints!r}"
            )
        if self.webhook_target is not None and not _is_loopback_origin(self.webhook_target):
            # An emulator in somebody's CI must never post to a real host because a DAG names one.
            raise ValueError(
                f"webhook_target must be an http(s) origin on a loopback address, got {self.webhook_target!r}"
            )


def _is_loopback_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
    is_origin = parts.path in {"", "/"} and not parts.query and not parts.fragment and parts.username is None
    return is_loopback and is_origin and parts.scheme in {"http", "https"}
