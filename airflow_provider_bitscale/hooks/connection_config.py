"""Pure: from the fields of an Airflow connection, and settings, to a :class:`ClientConfig`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.api.config import (
    DEFAULT_BASE_URL,
    DEFAULT_GRID_CACHE_SECONDS,
    DEFAULT_TIMEOUT,
    MIN_SECRET_LENGTH,
    V1_1_0,
    ClientConfig,
    sharing_problems,
)
from airflow_provider_bitscale.api.deliveries import WebhookSettings
from airflow_provider_bitscale.api.errors import ConfigurationError
from airflow_provider_bitscale.hooks.extra_fields import FieldReader, extra_fields

if TYPE_CHECKING:
    from airflow.sdk import Connection

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
# Airflow's settings for what all processes of a deployment share, whatever the connection.
SECTION = "bitscale"
OPTIONS = ("shared_state_url", "grid_cache_seconds")
_API_PATH = "/api/v1"


def config_from_connection(connection: Connection, options: Mapping[str, str | None]) -> ClientConfig:
    """Read the fields of a connection, whether they came from the form, a URI, JSON or the environment.

    Numbers and booleans may be text, as in a URI; ids and secrets of digits may be numbers, which Airflow
    makes of them in a URI.

    :param options: what Airflow's settings have of the ``OPTIONS``; None and empty text for the defaults.
    :raises ConfigurationError: naming every problem at once.
    """
    problems: list[str] = []
    read = FieldReader(extra_fields(connection.extra, EXTRA_FIELDS, problems), problems)
    texts = {"password": connection.password, "host": connection.host, "schema": connection.schema}
    fixed = FieldReader(texts, problems)
    settings: dict[str, Any] = {
        "api_key": fixed.text("password") or "",
        "base_url": _base_url(fixed.text("host"), connection.port, fixed.text("schema")),
        "api_contract": read.text("api_contract") or V1_1_0,
        "workspace_id": read.text("workspace_id"),
        "timeout": read.number("timeout", DEFAULT_TIMEOUT),
        "requests_per_minute": read.number("requests_per_minute", None),
        "allow_insecure_http": read.boolean("allow_insecure_http", False),
        "verify": read.boolean_or_text("verify", True),
        "proxies": read.mapping("proxies"),
    }
    settings.update(_sharing(options, problems))
    _webhook_settings(read, problems)
    try:
        config = ClientConfig(**settings)
    except ConfigurationError as error:
        problems.append(error.message)
    if problems:
        message, key = "; ".join(problems), settings["api_key"]
        # A key that was written into another field is quoted in the problem of that field.
        raise ConfigurationError(message.replace(key, "***") if len(key) >= MIN_SECRET_LENGTH else message)
    return config


def _sharing(options: Mapping[str, str | None], problems: list[str]) -> dict[str, Any]:
    """Return the settings of what processes share; none if one of them is wrong."""
    wrong: list[str] = []
    url = (options.get("shared_state_url") or "").strip() or None
    seconds = FieldReader(options, wrong).number("grid_cache_seconds", DEFAULT_GRID_CACHE_SECONDS)
    wrong += sharing_problems(url, float(seconds or 0))
    problems += [f"[{SECTION}] {problem}" for problem in wrong]
    return {} if wrong else {"shared_state_url": url, "grid_cache_seconds": seconds}


def webhook_settings_from_fields(extra: str | Mapping[str, Any] | None) -> WebhookSettings | None:
    """How deliveries are signed, by the extra fields of a connection; None without a ``webhook_secret``.

    :raises ConfigurationError: naming every problem at once.
    """
    problems: list[str] = []
    settings = _webhook_settings(FieldReader(extra_fields(extra, EXTRA_FIELDS, problems), problems), problems)
    if problems:
        raise ConfigurationError("; ".join(problems))
    return settings


def _webhook_settings(read: FieldReader, problems: list[str]) -> WebhookSettings | None:
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
