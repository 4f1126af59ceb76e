"""One call of the API, ready to be sent, and how its answer becomes a record or an error. Pure."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from airflow_provider_bitscale.api.carriable import MAX_MESSAGE_LENGTH, read_json, shorten
from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.api.error_answers import excerpt, from_response, surely_refuses
from airflow_provider_bitscale.api.errors import (
    TRANSIENT,
    AuthenticationError,
    BitScaleError,
    InvalidRequestError,
    TransportError,
    UnreadableAcceptanceError,
)
from airflow_provider_bitscale.api.run_ids import in_headers

T = TypeVar("T")

ACCEPTED_UNREADABLE = "the run was accepted and is paid for, but the answer cannot be read"


@dataclass(frozen=True)
class Partial:
    """What came of an answer that broke off.

    :param status: with which it began; None if it did not.
    :param body: what can be read of it.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Call(Generic[T]):
    """One call of an endpoint, ready to be sent as often as it takes.

    :param url: on the configured host, whatever the ids in it hold; they are percent-quoted.
    :param label: method and path, for messages.
    :param parse: reads the JSON of a successful answer; raises ValueError where it is not as expected.
    :param doubt: what nobody can tell when the fate of the request is unknown, which may then not be
        repeated; None where a request may be processed twice without harm.
    :param paid: whether each success of this call is paid for, be its answer readable or not.
    :param hint_on: what the contract has to say about an error, besides; None for nothing.
    :param timeout: seconds to wait for the answer; None for the configuration's.
    :param is_about_key: whether the call is about the key it is sent with, and not to be sent with another.
    """

    method: str
    url: str
    label: str
    headers: Mapping[str, str] = field(repr=False)
    parse: Callable[[Any], T]
    hint_on: Callable[[BitScaleError], str | None]
    doubt: str | None = None
    paid: bool = False
    body: bytes | None = None
    timeout: float | None = None
    is_about_key: bool = False

    def read(self, config: ClientConfig, status: int, headers: Mapping[str, str], body: bytes) -> T:
        """Turn an answer into the record it holds.

        :return: its values are carriable.
        :raises UnreadableAcceptanceError: a success that was paid for, and cannot be read.
        :raises BitScaleError: the error it stands for. Any other success that is not as expected is a
            TransportError: nothing is known of what happened.
        """
        body = config.scrub(body)
        is_success = 200 <= status < 300
        reason = ""
        if is_success:
            # Read as what it should be first: a run has an error of its own, or one that it survives.
            try:
                return self._parsed(headers, body)
            except (ValueError, RecursionError) as problem:
                reason = shorten(config.scrub_text(str(problem)))
        error = from_response(self.label, status, headers, body)
        if error is None or (is_success and self.paid and not surely_refuses(error.code)):
            raise self._unreadable(config, status, headers, body, reason)
        if not is_success and self.doubt is None and _is_from_elsewhere(error, body):
            message = f"not an answer of BitScale (a proxy's, or the base URL is wrong): {error.message}"
            error = TransportError(message, status=status, request=self.label)
        # Once more, for what was not in the body (a redirect's Location) or was escaped in it; and before
        # it is cut, perhaps within a key.
        message = shorten(config.scrub_text(error.message), 2 * MAX_MESSAGE_LENGTH)
        if (hint := self.hint_on(error)) is not None:
            message = f"{message.rstrip('.')}. {hint}"
        raise type(error)(**{**error.fields(), "message": message})

    def _parsed(self, headers: Mapping[str, str], body: bytes) -> T:
        # Of what is paid for, the headers may tell what the body does not.
        told = in_headers(headers) if self.paid else {}
        try:
            payload = read_json(body)
        except (ValueError, RecursionError):
            if not told:
                raise
            payload = {}
        return self.parse({**told, **payload} if isinstance(payload, Mapping) else payload)

    def _unreadable(
        self, config: ClientConfig, status: int, headers: Mapping[str, str], body: bytes, reason: str
    ) -> BitScaleError:
        if not self.paid:
            return TransportError(
                f"the answer is not as expected: {reason}", status=status, request=self.label
            )
        message = f"{ACCEPTED_UNREADABLE}: {reason}. {config.scrub_text(excerpt(body, headers))}"
        return UnreadableAcceptanceError(message, status=status, request=self.label)

    def unanswered(
        self, config: ClientConfig, causes: Sequence[BaseException], reason: str, *, sent: bool, got: Partial
    ) -> T:
        """What follows from a request whose answer did not come, or not to its end.

        :param causes: the error of the HTTP library, and those that it wraps.
        :param reason: what happened.
        :param sent: whether the request may have been sent.
        :param got: what came of the answer.
        :return: the run, where what came of the answer names it and is paid for.
        :raises UnreadableAcceptanceError: it is paid for, and what came does not name it.
        :raises BitScaleError: the error that what came stands for, as far as its status or its code tells.
        :raises TransportError: in all other cases.
        """
        message = shorten(config.scrub_text(f"{type(causes[0]).__name__}: {reason}"))
        trust = config.network.trust
        if trust is not None and any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            message = f"{message}. {trust.advice}"
        if config.network.proxy is not None and not sent:
            message = f"{message}. {config.network.proxy.advice}"
        status, headers = got.status, got.headers
        broken_off = TransportError(message, sent=sent or status is not None, request=self.label)
        if status is None:
            raise broken_off from None
        if not 200 <= status < 300:
            try:
                return self.read(config, status, headers, got.body)
            except InvalidRequestError as refusal:
                # The code that was cut off may be one that leaves open whether a run was started.
                is_told = refusal.code is not None or _is_json(got.body)
                raise (refusal if is_told else broken_off) from None
        if not self.paid:
            raise broken_off from None
        try:
            return self._parsed(headers, config.scrub(got.body))
        except (ValueError, RecursionError):
            reason = f"it ended before it was whole ({message})"
        raise self._unreadable(config, status, headers, config.scrub(got.body), reason) from None


def _is_from_elsewhere(error: BitScaleError, body: bytes) -> bool:
    """Whether a refusal is no JSON, as that of a proxy or a gateway, which may let the next request pass."""
    if isinstance(error, (*TRANSIENT, AuthenticationError)):
        return False
    return not _is_json(body)


def _is_json(body: bytes) -> bool:
    try:
        read_json(body)
    except (ValueError, RecursionError):
        return False
    return True


class Reader(Generic[T]):
    """Reads the answers to a call that is sent over and over; one like the last is not parsed again.

    A run that is polled answers the same until its status changes.
    """

    def __init__(self, call: Call[T], config: ClientConfig) -> None:
        self._call = call
        self._config = config
        self._last: tuple[int, bytes, T] | None = None

    def read(self, status: int, headers: Mapping[str, str], body: bytes) -> T:
        """As :meth:`Call.read`."""
        if self._last is None or self._last[0] != status or self._last[1] != body:
            self._last = (status, body, self._call.read(self._config, status, headers, body))
        return self._last[2]
