"""From a request's method and path to the endpoint of a contract that handles it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from starlette.routing import compile_path

from airflow_provider_bitscale.emulator.errors import METHOD_NOT_ALLOWED, NOT_FOUND, ApiError
from airflow_provider_bitscale.emulator.runs import Run, RunScript
from airflow_provider_bitscale.emulator.state import World

BASE_PATH = "/api/v1"
"""Where the API begins, whatever the contract: both live inside v1."""


@dataclass(frozen=True)
class ApiRequest:
    """One request to an endpoint.

    :param base_url: where clients reach the API.
    :param params: those of the path, decoded.
    :param headers: by name in lower case.
    :param query: raw, as ``body``.
    :param now: Unix seconds.
    :param draw_script: asked how the run shall go, once nothing can refuse it any more.
    """

    world: World
    base_url: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    query: str
    body: bytes
    now: float
    draw_script: Callable[[], RunScript]


Result = dict[str, Any] | Run
"""The document to answer with, or the run that was just accepted."""


@dataclass(frozen=True)
class Endpoint:
    """One row of a contract's endpoint table; ``{name}`` in the path stands for a parameter."""

    name: str
    method: str
    path: str
    handle: Callable[[ApiRequest], Result]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches the whole path, still encoded; its groups are the parameters."""
        return compile_path(BASE_PATH + self.path)[0]


def find_endpoint(
    endpoints: Iterable[Endpoint], method: str, raw_path: str
) -> tuple[Endpoint, dict[str, str]]:
    """Return the endpoint of a request and its path parameters, percent-decoded one segment at a time.

    :param raw_path: as received, so that an id with an encoded slash stays one segment.
    :raises ApiError: 404 for an unknown path, 405 for a method that the path does not have.
    """
    found = [(endpoint, match) for endpoint in endpoints if (match := endpoint.pattern.match(raw_path))]
    for endpoint, match in found:
        if endpoint.method == method:
            return endpoint, {name: unquote(value) for name, value in match.groupdict().items()}
    if found:
        raise ApiError(405, METHOD_NOT_ALLOWED, f"{method} is not allowed on {raw_path}")
    raise ApiError(404, NOT_FOUND, f"there is no {raw_path} in this API")
