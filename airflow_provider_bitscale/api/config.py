"""How to reach BitScale: one frozen object, checked when it is made."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from urllib.parse import quote, urlsplit

from airflow_provider_bitscale.api.addresses import canonical_base_url, is_loopback
from airflow_provider_bitscale.api.errors import ConfigurationError
from airflow_provider_bitscale.api.network import Network, find_network, settings_problems
from airflow_provider_bitscale.api.shared_state.address import url_problem, url_secrets

# The contracts of the API that a client can speak.
V1_1_0 = "v1.1.0"
WORKSPACE_KEY = "workspace-key"
API_CONTRACTS = (V1_1_0, WORKSPACE_KEY)

DEFAULT_BASE_URL = "https://api.bitscale.ai/api/v1"
DEFAULT_TIMEOUT = 30.0
# How long a caller who does not say waits for the end of a synchronous run.
DEFAULT_SYNC_TIMEOUT = 900.0
DEFAULT_GRID_CACHE_SECONDS = 300.0
MIN_SECRET_LENGTH = 8
# The new key of a rotation, which this configuration does not hold yet.
_WORKSPACE_KEY = re.compile(r"sk-live-[\w-]+")
# Of any URL in a message: a proxy's, for one.
_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s@]+@")


@dataclass(frozen=True)
class ClientConfig:
    """Credentials and settings of a client.

    :param api_key: the API key: a person's under v1.1.0, sent in the ``api_key`` header (API document,
        "Authentication"); a workspace's under workspace-key, sent in ``X-API-KEY``.
    :param workspace_id: workspace of the grid endpoints, sent in the ``workspace-id`` header; not under
        workspace-key, where the key names the workspace.
    :param base_url: URL in front of the documented paths; kept in its canonical spelling.
    :param timeout: seconds to wait for a connection, and for an answer.
    :param requests_per_minute: a ceiling besides the limit the server reports. None for none; workspace-key
        then assumes five requests a second until the server reports a limit.
    :param allow_insecure_http: allow plain http to a host that is not this machine.
    :param verify: True to check certificates by what ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``, or
        ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name, else by the authorities that the certifi package lists; a
        path to a PEM file or a folder to check by those; False not to check.
    :param proxies: proxy URL by scheme (``{"https": "http://proxy:3128"}``), or by ``all``; None to follow
        the environment. This machine is reached directly, unless the proxy runs on it, too.
    :param api_contract: what the API speaks: ``v1.1.0`` as documented, or ``workspace-key`` as served today.
    :param shared_state_url: where processes share what they know of the rate limit: ``file:///folder``,
        ``redis://`` or ``rediss://``, or ``none``; None for a folder in the machine's temporary folder.
    :param grid_cache_seconds: for how long the columns and the run recipe of a grid are shared; 0 for never.
    :raises ConfigurationError: naming every problem at once.
    """

    api_key: str = field(repr=False)
    workspace_id: str | None = None
    base_url: str = DEFAULT_BASE_URL
    timeout: float = DEFAULT_TIMEOUT
    requests_per_minute: float | None = None
    allow_insecure_http: bool = False
    verify: bool | str = True
    proxies: Mapping[str, str] | None = field(default=None, repr=False, hash=False)
    api_contract: str = V1_1_0
    shared_state_url: str | None = field(default=None, repr=False)
    grid_cache_seconds: float = DEFAULT_GRID_CACHE_SECONDS
    network: Network = field(init=False, repr=False)

    def __post_init__(self) -> None:
        problems = [*self._problems(), *settings_problems(self.verify, self.proxies)]
        try:
            object.__setattr__(self, "base_url", canonical_base_url(self.base_url))
            if self._is_unencrypted and not self.allow_insecure_http:
                remedy = "use https or allow_insecure_http"
                raise ValueError(f"{self.base_url!r} would send the API key unencrypted: {remedy}")
            if not problems:
                network = find_network(self.base_url, self.proxies, self.verify)
                object.__setattr__(self, "network", network)
        except ValueError as problem:
            problems.append(str(problem))
        if problems:
            raise ConfigurationError("; ".join(problems))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes a connection with these settings unsafe, for logs and for whoever tests it."""
        warnings = []
        if self._is_unencrypted:
            warnings.append(f"allow_insecure_http: the API key goes to {self.base_url} unencrypted.")
        if self.verify is False and self.network.trust is not None:
            warnings.append(f"verify=false: whoever is on the way to {self.base_url} can read the API key.")
        return tuple(warnings)

    @property
    def _is_unencrypted(self) -> bool:
        url = urlsplit(self.base_url)
        return url.scheme == "http" and not is_loopback(url.hostname or "")

    def scrub(self, body: bytes) -> bytes:
        """Return the body without the API key, which a server may echo."""
        for spelling in self._spellings:
            body = body.replace(spelling, b"***")
        return body

    def scrub_text(self, text: str) -> str:
        """Return a message without any workspace's key, and without credentials; see :meth:`scrub`."""
        scrubbed = self.scrub(text.encode("utf-8", errors="replace")).decode()
        return _CREDENTIALS.sub("***@", _WORKSPACE_KEY.sub("***", scrubbed))

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may contain: the API key, and the passwords of a proxy and of shared state."""
        proxy = self.network.proxy
        return (self.api_key, *(proxy.secrets if proxy else ()), *url_secrets(self.shared_state_url))

    @cached_property
    def _spellings(self) -> tuple[bytes, ...]:
        """The secrets as a server or a library may write them: as they are, in JSON, in a URL, in HTML."""
        spellings: list[str] = []
        # A shorter text is part of other words.
        for secret in (secret for secret in self.secrets if len(secret) >= MIN_SECRET_LENGTH):
            in_json = json.dumps(secret)[1:-1]
            spellings += (secret, in_json, in_json.replace("/", "\\/"), quote(secret), quote(secret, safe=""))
            spellings.append(escape(secret))
        return tuple(dict.fromkeys(spelling.encode() for spelling in spellings))

    def _problems(self) -> list[str]:
        problems = []
        if not self.api_key:
            problems.append("the API key is missing")
        elif self.api_key.lower().startswith("bearer "):
            problems.append("the API key begins with the word Bearer: give the key alone")
        elif not fits_header(self.api_key):
            problems.append("the API key has characters that no header can carry (a line break, perhaps)")
        if self.workspace_id is not None and not (self.workspace_id and fits_header(self.workspace_id)):
            problems.append(f"workspace_id {self.workspace_id!r} is not an id")
        if self.api_contract not in API_CONTRACTS:
            problems.append(f"api_contract must be {' or '.join(API_CONTRACTS)}, not {self.api_contract!r}")
        elif self.api_contract == WORKSPACE_KEY and self.workspace_id is not None:
            problems.append("workspace_id must be empty under workspace-key: the key names the workspace")
        if not 0 < self.timeout < float("inf"):
            problems.append(f"timeout must be a number of seconds above 0, not {self.timeout!r}")
        if self.requests_per_minute is not None and not 0 < self.requests_per_minute < float("inf"):
            problems.append(f"requests_per_minute must be above 0, not {self.requests_per_minute!r}")
        return [*problems, *sharing_problems(self.shared_state_url, self.grid_cache_seconds)]


def sharing_problems(shared_state_url: str | None, grid_cache_seconds: float) -> list[str]:
    """Return what is wrong with the settings of what processes share."""
    problems = []
    if (problem := url_problem(shared_state_url)) is not None:
        problems.append(problem)
    if not 0 <= grid_cache_seconds < float("inf"):
        problems.append(f"grid_cache_seconds must be a number from 0 on, not {grid_cache_seconds!r}")
    return problems


def fits_header(text: str) -> bool:
    """Whether a text can be sent as a header's value, unchanged."""
    return text.isascii() and text.isprintable() and text == text.strip()
