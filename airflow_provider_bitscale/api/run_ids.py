"""Pure: finds the ids in an answer about a run, under any name and in any place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from airflow_provider_bitscale.api.fields import id_text, named, plain
from airflow_provider_bitscale.api.models import Json

# Without their spelling. A header tells as much as a field.
_RUN_ID_HEADERS = ("xbitscalerunid", "xrunid")
_URL_HEADERS = ("location", "contentlocation")
RUN_IDS = ("runid", "requestid", *_RUN_ID_HEADERS)
_URLS = ("pollurl", "statusurl", *_URL_HEADERS)
_QUERY_NAMES = ("runid", "requestid", "id")
# Segments of paths, and what may stand between them and the id.
_BEFORE_IDS = ("run", "runs", "request", "requests", "status")
_NOT_IDS = (*_BEFORE_IDS, "poll", "result", "results")


def ids(data: Json, names: Sequence[str]) -> Iterator[str]:
    """Yield the values under these names that can be ids."""
    for name in names:
        if (value := id_text(data.get(name))) is not None:
            yield value


def names_run(data: Json) -> bool:
    """Whether it has an id that is called that of a run or a request."""
    return any(ids(data, named(data, RUN_IDS)))


def accepted_id(layers: Sequence[Json], documented: Sequence[str], unexpected: list[str]) -> str | None:
    """Return the id of a run that was accepted.

    A documented name counts more than any other, and an inner object more than one around it, whose id may be
    that of the request. Where several may be meant, the one that the URL to poll names.

    :param layers: the objects of the answer, the inner ones first.
    :param documented: the names that the contract has.
    """
    by_name = [(name, run_id) for layer in layers for name in documented for run_id in ids(layer, [name])]
    others = [
        (name, run_id)
        for layer in layers
        for name in named(layer, (*RUN_IDS, "id"))
        if name not in documented
        for run_id in ids(layer, [name])
    ]
    found = [*by_name, *others]
    # A URL is taken apart only where the names leave open which run is meant.
    is_sure = by_name and len({run_id for _, run_id in found}) == 1
    url, polled = (None, None) if is_sure else next(_polled_ids(layers), (None, None))
    meant = [(name, run_id) for name, run_id in found if polled in (None, run_id)] or by_name
    if not meant:
        if polled is not None:
            unexpected.append(f"the run id is told by {url!r} alone")
        return polled
    name, run_id = meant[0]
    if name not in documented:
        unexpected.append(f"the run id is called {name!r}")
    return run_id


def polled_id(layers: Sequence[Json], documented: Sequence[str], asked: str) -> str | None:
    """Return the id of the run that the answer to a poll is about; None where it does not say.

    Only a documented name can tell of another run: others may be those of a request, or of a row. So may
    ``request_id`` be around the object that holds the run.

    :param asked: of the run that was asked for.
    """
    told = list(ids(layers[0], documented))
    told += [run_id for layer in layers[1:] for run_id in ids(layer, ["run_id"])]
    return asked if asked in told else next(iter(told), None)


def in_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an answer that may tell the id of a run."""
    return {
        name: value for name, value in headers.items() if plain(name) in (*_RUN_ID_HEADERS, *_URL_HEADERS)
    }


def helpful_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the same, and those that may help BitScale's people to find it."""
    traces = [name for name in headers if plain(name).endswith(("requestid", "traceid"))]
    return {**in_headers(headers), **{name: headers[name] for name in traces}}


def _polled_ids(layers: Sequence[Json]) -> Iterator[tuple[str, str]]:
    for layer in layers:
        for name in named(layer, _URLS):
            if (run_id := id_in_url(layer[name])) is not None:
                yield name, run_id


def id_in_url(url: Any) -> str | None:
    """Return the id in a URL that polls a run: in its query, or in its path next to ``runs`` or ``status``.

    The URL itself is never followed.
    """
    try:
        parts = urlsplit(url.strip()) if isinstance(url, str) else None
        query = parse_qsl(parts.query) if parts else []
    except ValueError:
        return None
    if parts is None:
        return None
    for name, value in query:
        if plain(name) in _QUERY_NAMES and (run_id := id_text(value)) is not None:
            return run_id
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    pairs = list(pairwise(segments))
    after = [right for left, right in pairs if left.lower() in _BEFORE_IDS]
    before = [left for left, right in pairs if right.lower() == "status"]
    for segment in (*after, *before):
        if segment.lower() not in _NOT_IDS and (run_id := id_text(segment)) is not None:
            return run_id
    return None
