"""The settings of an emulator, checked once."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from airflow_provider_bitscale.emulator.contracts import CONTRACTS
from airflow_provider_bitscale.emulator.rate_limit import HINTS


@dataclass(frozen=True)
class Settings:
    """The settings of one emulator; ``Emulator`` says what each means.

    :raises ValueError: a setting is out of range; the message names it.
    """

    port: int = 0
    seed: int | None = None
    credits: int = 65_800
    run_seconds: tuple[float, float] = (0.2, 0.5)
    slow_runs: tuple[float, float] = (0.0, 0.0)
    rate_limit: tuple[int, float] | None = None
    run_limit: int | None = None
    webhook_target: str | None = None
    webhook_backoff: float = 1.0
    webhook_timeout: float = 10.0
    contract: str = "v1.1.0"
    sync_cut_off: float = 120.0
    miss_rate: float = 0.0
    extra_grids: int = 0
    rate_limit_hints: str | None = None

    def __post_init__(self) -> None:
        if self.credits < 0:
            raise ValueError(f"credits must not be negative, got {self.credits}")
        low, high = self.run_seconds
        if not 0 <= low <= high:
            raise ValueError(f"run_seconds must be (low, high) with 0 <= low <= high, got {self.run_seconds}")
        share, seconds = self.slow_runs
        if not 0 <= share <= 1 or not seconds >= 0:
            raise ValueError(f"slow_runs must be (share from 0 to 1, seconds >= 0), got {self.slow_runs}")
        if self.rate_limit is not None and (self.rate_limit[0] < 1 or self.rate_limit[1] <= 0):
            raise ValueError(f"rate_limit must be (requests >= 1, window_seconds > 0), got {self.rate_limit}")
        if self.run_limit is not None and self.run_limit < 0:
            raise ValueError(f"run_limit must not be negative, got {self.run_limit}")
        if self.webhook_backoff < 0 or self.webhook_timeout <= 0:
            raise ValueError("webhook_backoff must be >= 0 and webhook_timeout > 0 seconds")
        if self.contract not in CONTRACTS:
            raise ValueError(f"contract must be one of {', '.join(CONTRACTS)}, got {self.contract!r}")
        if not self.sync_cut_off >= 0:
            raise ValueError(f"sync_cut_off must be >= 0 seconds, got {self.sync_cut_off}")
        if not 0 <= self.miss_rate <= 1:
            raise ValueError(f"miss_rate must be from 0 to 1, got {self.miss_rate}")
        if self.extra_grids < 0:
            raise ValueError(f"extra_grids must not be negative, got {self.extra_grids}")
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
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or parts.path not in {"", "/"} or parts.query or parts.fragment:
        return False
    if parts.username is not None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
