"""From a request's method and path to the endpoint of a contract that handles it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

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
    segments: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple((BASE_PATH + self.path).split("/")))


def find_endpoint(
    endpoints: Iterable[Endpoint], method: str, raw_path: str
) -> tuple[Endpoint, dict[str, str]]:
    """Return the endpoint of a request and its path parameters, percent-decoded one segment at a time.

    :param raw_path: as received, so that an id with an encoded slash stays one segment.
    :raises ApiError: 404 for an unknown path, 405 for a method that the path does not have.
    """
    segments = raw_path.split("/")
    known_path = False
    for endpoint in endpoints:
        params = _match(endpoint.segments, segments)
        if params is None:
            continue
        if endpoint.method == method:
            return endpoint, params
        known_path = True
    if known_path:
        raise ApiError(405, METHOD_NOT_ALLOWED, f"{method} is not allowed on {raw_path}")
    raise ApiError(404, NOT_FOUND, f"there is no {raw_path} in this API")


def _match(template: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    if len(template) != len(segments):
        return None
    params = {}
    for wanted, segment in zip(template, segments, strict=True):
        if wanted.startswith("{"):
            if not segment:
                return None
            params[wanted[1:-1]] = unquote(segment)
        elif wanted != segment:
            return None
    return params
