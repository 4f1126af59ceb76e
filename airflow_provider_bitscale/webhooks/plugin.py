"""The plugin that mounts the receiver on Airflow's API server, at ``/bitscale/webhooks``."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_bitscale.webhooks.callback_token import RECEIVER_PATH


class BitScaleWebhooksPlugin(AirflowPlugin):
    """Receives deliveries for the connections that ``[bitscale] webhook_connections`` lists."""

    name = "bitscale_webhooks"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The receiver, created on demand: every process of Airflow loads plugins, one serves them."""
        from airflow_provider_bitscale.webhooks.receiver import Receiver

        return [{"app": Receiver().app(), "url_prefix": RECEIVER_PATH, "name": "BitScale webhooks"}]
