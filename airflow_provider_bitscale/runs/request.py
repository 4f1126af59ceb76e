"""Pure: the request for one run, and its checks that need no answer from BitScale."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.runs.undefined import has_undefined_in

MODES = ("async", "sync")
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test", ".invalid")


@dataclass(frozen=True)
class RunRequest:
    """One run of one row, as the DAG's author wrote it: every field may still be anything.

    :param inputs: values by column name or id.
    :param output_columns: names or ids of the columns wanted; None for all.
    :param mode: ``async`` or ``sync`` (API document, "Run a Grid").
    :param webhook_url: where BitScale shall deliver the finished run.
    """

    grid_id: Any
    inputs: Any
    output_columns: Any
    mode: Any
    webhook_url: Any

    def problems(self, *, rendered: bool = True) -> list[str]:
        """Return what is wrong, one sentence each; empty if nothing is.

        :param rendered: False while templates and references to other tasks may stand in the fields; those
            are then passed over.
        """
        problems = []
        if self.mode not in MODES:
            problems.append(f"mode must be one of {', '.join(MODES)}, not {self.mode!r}")
        if rendered or _is_plain(self.grid_id):
            problems += _id_problems(self.grid_id)
        if rendered or _is_plain(self.inputs):
            problems += _inputs_problems(self.inputs)
        if rendered or _is_plain(self.output_columns):
            problems += _output_columns_problems(self.output_columns)
        if self.webhook_url is not None and self.mode == "sync":
            problems.append("webhook_url goes with mode='async' only: a sync run is answered directly")
        elif self.webhook_url is not None and (rendered or _is_plain(self.webhook_url)):
            problems += webhook_url_problems(self.webhook_url)
        return problems

    def fingerprint(self, base_url: str, workspace_id: str | None) -> str:
        """Return a digest that changes when the run to pay for changes.

        :raises InvalidRequestError: the inputs are not JSON.
        """
        # The webhook is left out: it changes who is told, not what is bought.
        parts = [base_url, workspace_id, self.grid_id, self.mode, self.inputs, self.output_columns]
        try:
            text = json.dumps(parts, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as problem:
            raise InvalidRequestError(f"the inputs are not JSON: {problem}") from None
        return hashlib.sha256(text.encode()).hexdigest()


def webhook_url_problems(url: Any) -> list[str]:
    """Return what BitScale would say against a webhook URL (API document, "Webhook Delivery")."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        host, _ = (parts.hostname or "", parts.port) if parts else ("", None)
    except ValueError:
        parts, host = None, ""
    if parts is None or parts.scheme != "https" or not host:
        return [f"webhook_url must be an https:// URL, not {url!r}"]
    if has_undefined_in(url):
        return [f"webhook_url {url!r} has a part None, which is what a template gives that finds nothing"]
    if not _is_public(host):
        return [f"webhook_url must be publicly reachable, which {host!r} is not"]
    return []


def _is_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        name = host.rstrip(".").lower()
        return "." in name and not name.endswith(_PRIVATE_SUFFIXES)


def _id_problems(grid_id: Any) -> list[str]:
    if isinstance(grid_id, str) and grid_id.strip():
        return []
    return [f"grid_id must be a non-empty string, not {grid_id!r}"]


def _inputs_problems(inputs: Any) -> list[str]:
    if not isinstance(inputs, Mapping):
        return [f"inputs must be a dict of column names or ids to values, not {type(inputs).__name__}"]
    return [
        f"inputs has the key {key!r}, which is no column name or id" for key in inputs if not _is_text(key)
    ]


def _output_columns_problems(columns: Any) -> list[str]:
    if columns is None:
        return []
    if isinstance(columns, str) or not isinstance(columns, Sequence) or not all(map(_is_text, columns)):
        return [f"output_columns must be a list of column names or ids, not {columns!r}"]
    return [] if columns else ["output_columns is empty: leave it out to get all columns"]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_plain(value: Any) -> bool:
    """Whether a field's value is final, without a template or a reference to another task in it."""
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    if isinstance(value, Mapping):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, Sequence):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float))
