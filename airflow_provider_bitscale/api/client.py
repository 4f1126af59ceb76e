"""The sync client: requests, around the pure parts of this package."""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from airflow_provider_bitscale.api import contract
from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.api.contract import Call
from airflow_provider_bitscale.api.errors import BitScaleError, TransportError
from airflow_provider_bitscale.api.models import Grid, Run, User, Workspace
from airflow_provider_bitscale.api.pacing import pacer_for
from airflow_provider_bitscale.api.retry import MAX_ATTEMPTS, SendAgain, after_failure

T = TypeVar("T")

# A synchronous run is answered when it has ended, which takes minutes at times.
SYNC_RUN_TIMEOUT = 900.0


class Client:
    """Calls BitScale from one thread at a time; use as a context manager, or :meth:`close` it.

    Every method raises :class:`~airflow_provider_bitscale.api.errors.BitScaleError` or one of its
    subclasses, retries what is safe to retry, and waits for the rate limit.

    :param config: credentials and settings.
    """

    def __init__(self, config: ClientConfig) -> None:
        self.config = config
        self._pacer = pacer_for(config)
        self._session = _Session()
        # Neither .netrc nor the environment may add to a request; the configuration has read what it wants.
        self._session.trust_env = False
        self._session.verify = config.verify
        if config.proxy:
            self._session.proxies = {"http": config.proxy, "https": config.proxy}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get_current_user(self) -> User:
        """Endpoint 1, Get Current User."""
        return self.send(contract.get_current_user())

    def list_workspaces(self) -> list[Workspace]:
        """Endpoint 2, List Workspaces."""
        return self.send(contract.list_workspaces())

    def get_workspace(self, workspace_id: str | None = None) -> Workspace:
        """Endpoint 3, Get Workspace Details.

        :param workspace_id: None for the configuration's, as everywhere.
        """
        return self.send(contract.get_workspace(contract.workspace_or_default(workspace_id, self.config)))

    def list_grids(self, search: str | None = None, workspace_id: str | None = None) -> list[Grid]:
        """Endpoint 4, List Grids in a Workspace.

        :param search: part of a name, in any case.
        """
        workspace_id = contract.workspace_or_default(workspace_id, self.config)
        return self.send(contract.list_grids(workspace_id, search))

    def get_grid(self, grid_id: str) -> Grid:
        """Endpoint 5, Get Grid Details."""
        return self.send(contract.get_grid(grid_id))

    def run_grid(
        self,
        grid_id: str,
        inputs: Mapping[str, Any],
        *,
        mode: str = "async",
        output_columns: Sequence[str] | None = None,
        webhook_url: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Endpoint 6, Run a Grid. Costs credits, and is never sent twice unless provably not processed.

        :param inputs: values by column id.
        :param mode: ``async`` returns at once with a run id, ``sync`` when the run has ended.
        :param output_columns: ids of the columns wanted; None for all.
        :param webhook_url: where BitScale shall deliver the finished run (async only).
        :param timeout: seconds to wait for the answer; None for the configuration's, or 900 for a sync run.
        :raises AmbiguousSubmitError: the run may have been started, or not.
        """
        if timeout is None and mode == "sync":
            timeout = SYNC_RUN_TIMEOUT
        return self.send(
            contract.run_grid(
                grid_id,
                inputs,
                mode=mode,
                output_columns=output_columns,
                webhook_url=webhook_url,
                timeout=timeout,
            )
        )

    def get_run(self, grid_id: str, run_id: str) -> Run:
        """Endpoint 6, Polling for Results."""
        return self.send(contract.get_run(grid_id, run_id))

    def send(self, call: Call[T], *, max_attempts: int = MAX_ATTEMPTS) -> T:
        """Send a call, again where that is safe, and read the answer.

        :param max_attempts: attempts in all; 1 for a caller that has its own patience.
        """
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            self._pacer.wait()
            try:
                return self._attempt(call)
            except BitScaleError as error:
                step = after_failure(
                    error,
                    repeatable=call.endpoint.repeatable,
                    attempt=attempt,
                    elapsed=time.monotonic() - started,
                    jitter=random.random(),  # noqa: S311
                    max_attempts=max_attempts,
                )
                if not isinstance(step, SendAgain):
                    raise step.error from None
                time.sleep(step.after)

    def _attempt(self, call: Call[T]) -> T:
        try:
            response = self._session.request(
                call.endpoint.method,
                call.url(self.config),
                headers=call.headers(self.config),
                data=call.body,
                timeout=(self.config.timeout, call.timeout or self.config.timeout),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            self._pacer.failed()
            raise _transport_error(error, call.label, self.config) from None
        except BaseException:
            self._pacer.failed()
            raise
        self._pacer.answered(response.status_code, response.headers)
        return call.read(self.config, response.status_code, response.headers, response.content)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere: requests takes a Location apart, and fails on some, even where it does not follow it."""


def _transport_error(error: requests.RequestException, label: str, config: ClientConfig) -> TransportError:
    causes = list(_causes(error))
    # A ProxyError alone proves nothing: urllib3 says so of an answer that was lost behind a proxy, too.
    never_connected = (ConnectTimeoutError, NewConnectionError, ssl.SSLCertVerificationError)
    sent = not any(isinstance(cause, never_connected) for cause in causes)
    # The innermost cause has the reason; the outer ones repeat the URL.
    message = config.scrub_text(f"{type(error).__name__}: {causes[-1]}")
    return TransportError(message, sent=sent, request=label)


def _causes(error: BaseException | None) -> Any:
    while error is not None:
        yield error
        inner = getattr(error, "reason", None) or next(
            (argument for argument in error.args if isinstance(argument, BaseException)), None
        )
        error = inner if isinstance(inner, BaseException) else None
