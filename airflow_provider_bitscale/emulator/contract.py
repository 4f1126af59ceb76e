"""What one contract of BitScale's API consists of, for an application that speaks any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_bitscale.emulator.routing import Endpoint
from airflow_provider_bitscale.emulator.state import Run, World


@dataclass(frozen=True)
class Contract:
    """One contract.

    Parameters:
        name: what a user calls it.
        endpoints: its endpoint table.
        api_key: the key that opens it at the start.
        connection_extra: what a connection needs beside host and key to speak it.
        run_id: ``(seed, ordinal) -> id`` of the run accepted as number ``ordinal``.
        answer_run: ``(world, run, base_url, now) -> document`` that answers the request behind ``run``.
        limited_as: ``(world, headers) -> name`` under which the rate limit counts a request.
        rate_limit_hints: what an answer tells of the rate limit unless the user chooses otherwise.
        bounded_sync: whether a sync request is answered before its run is over once the run takes too long.
        blank_misses: whether an enrichment of nothing but blanks answers that it found nothing.
        null_until_true: fields of a run's answer that may be there as null before they have a value.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    api_key: str
    connection_extra: Mapping[str, str]
    run_id: Callable[[int, int], str]
    answer_run: Callable[[World, Run, str, float], dict[str, Any]]
    limited_as: Callable[[World, Mapping[str, str]], str]
    rate_limit_hints: str
    bounded_sync: bool
    blank_misses: bool
    null_until_true: tuple[str, ...]
