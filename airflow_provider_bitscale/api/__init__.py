"""The BitScale HTTP API, in both of its contracts: usable from a notebook, without Airflow.

::

    from airflow_provider_bitscale.api import Client, ClientConfig

    with Client(ClientConfig(api_key="…", workspace_id="ws_…")) as client:
        print(client.get_workspace().credits)

A :class:`ClientConfig` goes in; records (``models``) come out, or errors (``errors``).

- ``client``, ``async_client``: two thin loops that send calls; ``connections`` and ``async_connections`` hold
  them to the same behaviour. ``shared_client``: one async client for an event loop.
- ``contracts``: the endpoints of each contract, as calls (``call``) that read their own answers: ``parsing``,
  ``run_*``, ``error_answers``.
- ``attempts``, ``retry``: what follows a failed attempt. ``credentials``: the key, and its renewal.
- ``limit``: when the next request may leave.
- ``deliveries``: webhook deliveries, verified and read.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.api.errors import (
    AmbiguousSubmitError,
    AuthenticationError,
    BitScaleError,
    ConfigurationError,
    FeatureDisabledError,
    InsufficientCreditsError,
    InvalidRequestError,
    MissingSourceError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RunFailedError,
    RunLimitExceededError,
    RunTimedOutError,
    ServerError,
    TransportError,
    UnreadableAcceptanceError,
    UnreadableOutputsError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.async_client import AsyncClient
    from airflow_provider_bitscale.api.client import Client
    from airflow_provider_bitscale.api.config import ClientConfig
    from airflow_provider_bitscale.api.deliveries import (
        Delivery,
        DeliveryRefusedError,
        WebhookSettings,
        parse_delivery,
        verify_signature,
    )
    from airflow_provider_bitscale.api.models import (
        Column,
        ColumnType,
        Credits,
        Grid,
        GridSettings,
        Members,
        Plan,
        Run,
        RunCredits,
        RunRecipe,
        RunStatus,
        User,
        Workspace,
    )

# Loaded when first asked for: whoever needs an error class does not pay for two HTTP libraries. All other
# names are those of records, in ``models``.
_LAZY = {
    "AsyncClient": "async_client",
    "Client": "client",
    "ClientConfig": "config",
    **dict.fromkeys(
        ("Delivery", "DeliveryRefusedError", "WebhookSettings", "parse_delivery", "verify_signature"),
        "deliveries",
    ),
}

__all__ = [
    "AmbiguousSubmitError",
    "AsyncClient",
    "AuthenticationError",
    "BitScaleError",
    "Client",
    "ClientConfig",
    "Column",
    "ColumnType",
    "ConfigurationError",
    "Credits",
    "Delivery",
    "DeliveryRefusedError",
    "FeatureDisabledError",
    "Grid",
    "GridSettings",
    "InsufficientCreditsError",
    "InvalidRequestError",
    "Members",
    "MissingSourceError",
    "NotFoundError",
    "PermissionDeniedError",
    "Plan",
    "RateLimitedError",
    "Run",
    "RunCredits",
    "RunFailedError",
    "RunLimitExceededError",
    "RunRecipe",
    "RunStatus",
    "RunTimedOutError",
    "ServerError",
    "TransportError",
    "UnreadableAcceptanceError",
    "UnreadableOutputsError",
    "UnsupportedError",
    "User",
    "WebhookSettings",
    "Workspace",
    "parse_delivery",
    "verify_signature",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY.get(name, 'models')}"), name)
