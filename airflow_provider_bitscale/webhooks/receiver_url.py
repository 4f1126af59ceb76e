"""The webhook URL for each of a task's submissions, where it leads to Airflow's own receiver."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_bitscale.webhooks.addressee import Addressee, Recipient, leads_to_receiver, with_token

if TYPE_CHECKING:
    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook


@dataclass(frozen=True)
class ReceiverUrl:
    """A webhook URL whose deliveries come back to Airflow, and can be awaited.

    :param secret: of the connection: it signs whom a delivery is for.
    """

    url: str
    secret: str = field(repr=False)

    @classmethod
    def of(cls, webhook_url: str | None, hook: BitScaleHook) -> ReceiverUrl | None:
        """None where there is no URL, it is somebody else's, or the connection has no ``webhook_secret``.

        :param hook: of the connection that the runs are submitted with.
        :raises ConfigurationError: the connection's settings of webhooks are wrong.
        """
        if webhook_url is None:
            return None
        settings = hook.webhook_settings
        if settings is None or not leads_to_receiver(webhook_url, hook.bitscale_conn_id):
            return None
        return cls(webhook_url, settings.secret)

    def addressed_to(self, addressee: Addressee, row: int | None = None) -> str:
        """The URL to give BitScale with one submission.

        :param row: of the batch that the task runs, if it runs one.
        """
        return with_token(self.url, Recipient(addressee, row), self.secret)
