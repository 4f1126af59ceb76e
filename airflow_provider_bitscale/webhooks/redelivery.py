"""Delivers a run to Airflow's own receiver, as BitScale would, in place of a lost delivery."""

from __future__ import annotations

from types import TracebackType
from urllib.parse import urlsplit

import requests

from airflow_provider_bitscale.api.deliveries import WebhookSettings, written_delivery
from airflow_provider_bitscale.api.errors import ConfigurationError, TransportError
from airflow_provider_bitscale.api.models import Run

# The receiver itself answers after eight seconds at most.
_TIMEOUT_SECONDS = 15.0
_REFUSES_THIS_ONE = (400, 413)


class Redelivery:
    """Delivers from a worker; use as a context manager.

    :param webhook_url: of the receiver. No error contains it, since it may hold a secret of a proxy.
    """

    def __init__(self, webhook_url: str, settings: WebhookSettings) -> None:
        self._url = webhook_url
        self._host = urlsplit(webhook_url).hostname
        self._settings = settings
        self._session = requests.Session()

    def __enter__(self) -> Redelivery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def deliver(self, run: Run) -> str | None:
        """Deliver a run that has ended. The receiver makes one event of it, also if it is delivered again.

        :return: the outcome: ``accepted``, ``duplicate``, ``too_old`` or
            ``no_subscribers``; None if it refuses this run, for example as too large.
        :raises ConfigurationError: the URL leads to no receiver of this connection, or secrets differ.
        :raises TransportError: it could not be reached, or could not store the run; a retry may succeed.
        """
        headers, body = written_delivery(run, self._settings)
        try:
            answer = self._session.post(
                self._url, data=body, headers=headers, timeout=_TIMEOUT_SECONDS, allow_redirects=False
            )
        except (UnicodeError, requests.exceptions.InvalidHeader):
            # No header can carry this id. Other runs can still be delivered.
            return None
        except requests.RequestException as problem:
            raise TransportError(
                f"Airflow's receiver at {self._host} cannot be reached: {type(problem).__name__}"
            ) from None
        if answer.status_code in _REFUSES_THIS_ONE:
            return None
        if answer.status_code in (200, 202) and (outcome := _outcome(answer)):
            return outcome
        message = f"Airflow's receiver at {self._host} answered {answer.status_code}"
        if answer.status_code >= 500 or answer.status_code == 429:
            raise TransportError(message)
        raise ConfigurationError(
            f"{message}: does webhook_url lead to it, and does [bitscale] webhook_connections of the API "
            "server list the connection? The API server's log has the reason"
        )


def _outcome(answer: requests.Response) -> str | None:
    # A proxy may answer with a sign-in page, which is not an outcome.
    try:
        outcome = answer.json()["outcome"]
    except (ValueError, KeyError, TypeError):
        return None
    return outcome if isinstance(outcome, str) else None
