"""The plugin that mounts the receiver on Airflow's API server, at ``/bitscale/webhooks``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_bitscale.webhooks.addressee import RECEIVER_PATH

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class LazyReceiver:
    """The receiver, made at the first request: every process of Airflow loads plugins, one serves them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._app(scope, receive, send)

    @cached_property
    def _app(self) -> ASGIApp:
        from airflow_provider_bitscale.webhooks.receiver import Receiver

        return Receiver().app()


class BitScaleWebhooksPlugin(AirflowPlugin):
    """Receives deliveries for the connections that ``[bitscale] webhook_connections`` lists."""

    name = "bitscale_webhooks"
    fastapi_apps = [  # noqa: RUF012 - as Airflow declares it
        {"app": LazyReceiver(), "url_prefix": RECEIVER_PATH, "name": "BitScale webhooks"}
    ]
