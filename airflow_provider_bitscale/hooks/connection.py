"""Pure: from the fields of an Airflow connection to a :class:`ClientConfig`."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from airflow_provider_bitscale.api.config import DEFAULT_BASE_URL, DEFAULT_TIMEOUT, V1_1_0, ClientConfig
from airflow_provider_bitscale.api.deliveries import WebhookSettings
from airflow_provider_bitscale.api.errors import ConfigurationError

EXTRA_FIELDS = (
    "api_contract",
    "workspace_id",
    "timeout",
    "requests_per_minute",
    "webhook_secret",
    "webhook_signature_header",
    "webhook_signature_prefix",
    "webhook_signature_encoding",
    "allow_insecure_http",
    "verify",
    "proxies",
)
_API_PATH = "/api/v1"


def config_from_fields(
    *,
    host: str | None,
    port: int | None,
    schema: str | None,
    password: str | None,
    extra: str | Mapping[str, Any] | None,
) -> ClientConfig:
    """Read the fields of a connection, whether they came from the form, a URI, JSON or the environment.

    Numbers and booleans may be text, as in a URI.

    :raises ConfigurationError: naming every problem at once.
    """
    problems: list[str] = []
    fields = _extra_fields(extra, problems)
    read = _Reader(fields, problems)
    settings: dict[str, Any] = {
        "api_key": (password or "").strip(),
        "base_url": _base_url(host, port, schema),
        "api_contract": read.text("api_contract") or V1_1_0,
        "workspace_id": read.text("workspace_id"),
        "timeout": read.number("timeout", DEFAULT_TIMEOUT),
        "requests_per_minute": read.number("requests_per_minute", None),
        "allow_insecure_http": read.boolean("allow_insecure_http", False),
        "verify": read.boolean_or_text("verify", True),
        "proxies": read.mapping("proxies"),
    }
    _webhook_settings(read, problems)
    try:
        config = ClientConfig(**settings)
    except ConfigurationError as error:
        problems.append(error.message)
    if problems:
        raise ConfigurationError("; ".join(problems))
    return config


def webhook_settings_from_fields(extra: str | Mapping[str, Any] | None) -> WebhookSettings | None:
    """How deliveries are signed, by the extra fields of a connection; None without a ``webhook_secret``.

    :raises ConfigurationError: naming every problem at once.
    """
    problems: list[str] = []
    settings = _webhook_settings(_Reader(_extra_fields(extra, problems), problems), problems)
    if problems:
        raise ConfigurationError("; ".join(problems))
    return settings


def _webhook_settings(read: _Reader, problems: list[str]) -> WebhookSettings | None:
    secret = read.text("webhook_secret")
    given = {
        "signature_header": read.text("webhook_signature_header"),
        "signature_prefix": read.text("webhook_signature_prefix"),
        "signature_encoding": read.text("webhook_signature_encoding"),
    }
    if secret is None:
        return None
    try:
        return WebhookSettings(secret, **{name: value for name, value in given.items() if value is not None})
    except ConfigurationError as error:
        problems.append(error.message)
        return None


def _base_url(host: str | None, port: int | None, schema: str | None) -> str:
    if not host or not host.strip():
        return DEFAULT_BASE_URL
    url = host.strip().rstrip("/")
    if "://" not in url:
        url = f"{schema or 'https'}://{url}"
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if _is_bare_ipv6(authority):
        authority = f"[{authority}]"
    if port and ":" not in authority.rpartition("]")[2]:
        authority = f"{authority}:{port}"
    return f"{scheme}://{authority}{slash + path if path else _API_PATH}"


def _is_bare_ipv6(host: str) -> bool:
    """Whether a host is an IPv6 address without its brackets, as Airflow's URIs leave it."""
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _extra_fields(extra: str | Mapping[str, Any] | None, problems: list[str]) -> Mapping[str, Any]:
    try:
        fields = json.loads(extra) if isinstance(extra, str) and extra.strip() else extra or {}
    except ValueError:
        fields = None
    if not isinstance(fields, Mapping):
        problems.append("the extra fields are not a JSON object")
        return {}
    for name in fields:
        if name not in EXTRA_FIELDS:
            near = get_close_matches(name, EXTRA_FIELDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(EXTRA_FIELDS)}"
            problems.append(f"{name} is no extra field of a BitScale connection; {hint}")
    return fields


class _Reader:
    """Reads typed values; what does not fit becomes a problem."""

    def __init__(self, fields: Mapping[str, Any], problems: list[str]) -> None:
        # The form sends an empty field as null or as empty text.
        self._fields = {name: value for name, value in fields.items() if value not in (None, "")}
        self._problems = problems

    def text(self, name: str) -> str | None:
        value = self._fields.get(name)
        if value is None or isinstance(value, str):
            return value.strip() if value else None
        self._wrong(name, "text", value)
        return None

    def number(self, name: str, default: float | None) -> float | None:
        value = self._fields.get(name, default)
        if value is None:
            return None
        try:
            if isinstance(value, bool):
                raise ValueError
            return float(value)
        except (TypeError, ValueError):
            self._wrong(name, "a number", value)
            return default

    def boolean(self, name: str, default: bool) -> bool:
        value = self.boolean_or_text(name, default)
        if isinstance(value, bool):
            return value
        self._wrong(name, "true or false", value)
        return default

    def boolean_or_text(self, name: str, default: bool) -> bool | str:
        value = self._fields.get(name, default)
        if isinstance(value, str):
            return {"true": True, "false": False}.get(value.strip().lower(), value)
        if isinstance(value, bool):
            return value
        self._wrong(name, "true, false or a path" if name == "verify" else "true or false", value)
        return default

    def mapping(self, name: str) -> dict[str, str] | None:
        value = self._fields.get(name)
        if isinstance(value, str):
            with suppress(ValueError):
                value = json.loads(value)
        if isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values()):
            return dict(value)
        if value is not None:
            self._wrong(name, "a JSON object of scheme to URL", value)
        return None

    def _wrong(self, name: str, expected: str, value: Any) -> None:
        shown = "" if name in ("webhook_secret", "proxies") else f", not {value!r}"
        self._problems.append(f"{name} must be {expected}{shown}")
