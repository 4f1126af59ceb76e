"""The sync client: requests, around the pure parts of this package."""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from airflow_provider_bitscale.api import contract
from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.api.contract import Call
from airflow_provider_bitscale.api.errors import BitScaleError, TransportError
from airflow_provider_bitscale.api.models import Grid, Run, User, Workspace
from airflow_provider_bitscale.api.pacing import pacer_for
from airflow_provider_bitscale.api.retry import MAX_ATTEMPTS, SendAgain, after_failure

T = TypeVar("T")


class Journal(Protocol):
    """Told about a request that may be processed only once, as its fate unfolds."""

    def about_to_send(self) -> None:
        """The request leaves next; what raises here keeps it from leaving."""

    def not_processed(self) -> None:
        """The request provably was not processed; it may be sent again."""


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
        journal: Journal | None = None,
    ) -> Run:
        """Endpoint 6, Run a Grid. Costs credits, and is never sent twice unless provably not processed.

        :param inputs: values by column id.
        :param mode: ``async`` returns at once with a run id, ``sync`` when the run has ended.
        :param output_columns: ids of the columns wanted; None for all.
        :param webhook_url: where BitScale shall deliver the finished run (async only).
        :param timeout: seconds to wait for the answer; None for the configuration's, or 900 for a sync run.
        :param journal: told when the request leaves, after all waiting for the rate limit.
        :raises AmbiguousSubmitError: the run may have been started, or not.
        """
        call = contract.run_grid(
            grid_id,
            inputs,
            mode=mode,
            output_columns=output_columns,
            webhook_url=webhook_url,
            timeout=timeout,
        )
        return self.send(call, journal=journal)

    def get_run(self, grid_id: str, run_id: str) -> Run:
        """Endpoint 6, Polling for Results."""
        return self.send(contract.get_run(grid_id, run_id))

    def run_poller(self, grid_id: str, run_id: str) -> Callable[[], Run]:
        """A function that polls a run, one attempt each time, for a caller that has its own patience."""
        return partial(self.send, contract.get_run(grid_id, run_id), patient=False)

    def workspace_poller(self, workspace_id: str | None = None) -> Callable[[], Workspace]:
        """A function that asks for a workspace, one attempt each time."""
        workspace_id = contract.workspace_or_default(workspace_id, self.config)
        return partial(self.send, contract.get_workspace(workspace_id), patient=False)

    def send(self, call: Call[T], *, patient: bool = True, journal: Journal | None = None) -> T:
        """Send a call, again where that is safe, and read the answer.

        :param patient: False for one attempt, and no long wait for the rate limit.
        """
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            self._pacer.wait(patient=patient)
            try:
                return self._attempt(call, journal)
            except BitScaleError as error:
                step = after_failure(
                    error,
                    repeatable=call.endpoint.repeatable,
                    attempt=attempt,
                    elapsed=time.monotonic() - started,
                    jitter=random.random(),  # noqa: S311
                    max_attempts=MAX_ATTEMPTS if patient else 1,
                )
                if not isinstance(step, SendAgain):
                    raise step.error from None
                if journal is not None:
                    journal.not_processed()
                time.sleep(step.after)

    def _attempt(self, call: Call[T], journal: Journal | None) -> T:
        timeout = call.timeout or self.config.timeout
        try:
            if journal is not None:
                journal.about_to_send()
            response = self._session.request(
                call.endpoint.method,
                call.url(self.config),
                headers=call.headers(self.config),
                data=call.body,
                timeout=(self.config.timeout, timeout),
                allow_redirects=False,
                stream=True,
            )
            body = _read(response, time.monotonic() + timeout)
        except (requests.RequestException, HTTPError) as error:
            self._pacer.failed()
            raise _transport_error(error, call.label, self.config) from None
        except BaseException:
            self._pacer.failed()
            raise
        self._pacer.answered(response.status_code, response.headers)
        return call.read(self.config, response.status_code, response.headers, body)


def _read(response: requests.Response, until: float) -> bytes:
    """The body, as it comes: a socket's timeout is for each piece, and pieces may trickle for ever."""
    with response:
        pieces = []
        while piece := response.raw.read1(65536, decode_content=True):
            pieces.append(piece)
            if time.monotonic() > until:
                raise requests.ReadTimeout("the answer did not end in time")
        return b"".join(pieces)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere: requests takes a Location apart, and fails on some, even where it does not follow it."""


def _transport_error(error: Exception, label: str, config: ClientConfig) -> TransportError:
    causes = list(_causes(error))
    # A ProxyError alone proves nothing: urllib3 says so of an answer that was lost behind a proxy, too.
    never_sent = (
        ConnectTimeoutError,
        NewConnectionError,
        ssl.SSLCertVerificationError,
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
    )
    refused_by_proxy = "Tunnel connection failed" in str(causes[-1])
    sent = not (refused_by_proxy or any(isinstance(cause, never_sent) for cause in causes))
    # The innermost cause has the reason; the outer ones repeat the URL.
    message = config.scrub_text(f"{type(error).__name__}: {causes[-1]}")
    return TransportError(message, sent=sent, request=label)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        inner = getattr(error, "reason", None) or next(
            (argument for argument in error.args if isinstance(argument, BaseException)), None
        )
        error = inner if isinstance(inner, BaseException) else None
