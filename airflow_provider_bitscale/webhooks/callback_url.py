"""The webhook URLs of a task's submissions that lead to Airflow's own receiver."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow.sdk import conf

from airflow_provider_bitscale.webhooks import callback_token

if TYPE_CHECKING:
    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CallbackUrl:
    """A webhook URL whose deliveries come back to Airflow, so that a task can wait for them.

    :param secret: of the connection: it signs the tokens.
    """

    url: str
    secret: str = field(repr=False)

    @classmethod
    def of(cls, webhook_url: str | None, hook: BitScaleHook, *, trust: bool = False) -> CallbackUrl | None:
        """Return the callback URL; None if there is no URL, or Airflow receives no deliveries there.

        :param hook: of the connection that the runs are submitted with.
        :param trust: whether deliveries are trusted as results; warns if that has no effect.
        :raises ConfigurationError: the webhook settings of the connection are wrong.
        """
        if webhook_url is None:
            return None
        if not callback_token.leads_to_receiver(webhook_url, hook.bitscale_conn_id):
            if trust:
                log.warning(
                    "trust_webhook does nothing: webhook_url does not lead to %s/%s, and nothing is awaited",
                    callback_token.RECEIVER_PATH,
                    hook.bitscale_conn_id,
                )
            return None
        if conf.getboolean("core", "multi_team", fallback=False):
            log.warning(
                "Airflow's receiver takes no deliveries where [core] multi_team is set: none is awaited"
            )
            return None
        if (settings := hook.webhook_settings) is None:
            log.warning(
                "webhook_url leads to Airflow's receiver, but connection %s has no webhook_secret: "
                "deliveries are refused, and none is awaited",
                hook.bitscale_conn_id,
            )
            return None
        for warning in settings.warnings:
            log.warning("Connection %s: %s", hook.bitscale_conn_id, warning)
        return cls(webhook_url, settings.secret)

    def addressed_to(self, address: callback_token.DeliveryAddress, row: int | None = None) -> str:
        """Return the webhook URL of one submission.

        :param row: of the batch that the task runs, if it runs one.
        """
        return callback_token.with_token(self.url, callback_token.Claims(address, row), self.secret)
