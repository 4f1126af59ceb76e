"""What one contract of BitScale's API consists of, for a backend that serves any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_bitscale.emulator.routing import Endpoint
from airflow_provider_bitscale.emulator.runs import Run
from airflow_provider_bitscale.emulator.state import World


@dataclass(frozen=True)
class ServedContract:
    """One contract, as the emulator serves it.

    :param name: by which a user chooses it.
    :param endpoints: its endpoint table.
    :param key_header: that a request has its key in.
    :param key_after: ``(rotations, seed) -> key`` that opens it after so many rotations; 0 at the start.
    :param connection_extra: what a connection needs beside host and key to speak it.
    :param run_id: ``(seed, ordinal) -> id`` of the run accepted as number ``ordinal``.
    :param answer_run: ``(world, run, base_url, now) -> document`` that answers the request behind ``run``.
    :param rate_limit_hints: what answers tell of the rate limit, unless the user chooses otherwise.
    :param bounded_sync: whether a sync request whose run takes too long is answered before it has ended.
    :param blank_misses: whether an enrichment whose inputs are all blank finds nothing.
    :param null_until_true: fields of a run's answer that may be null before they have a value.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    key_header: str
    key_after: Callable[[int, int], str]
    connection_extra: Mapping[str, str]
    run_id: Callable[[int, int], str]
    answer_run: Callable[[World, Run, str, float], dict[str, Any]]
    rate_limit_hints: str
    bounded_sync: bool
    blank_misses: bool
    null_until_true: tuple[str, ...]
