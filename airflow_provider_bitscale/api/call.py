"""Pure: one call of the API, ready to be sent, and how its answer becomes a record or an error."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.carriable import MAX_MESSAGE_LENGTH, read_json, shorten
from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.api.error_answers import excerpt, from_response, surely_refuses
from airflow_provider_bitscale.api.run_ids import in_headers

T = TypeVar("T")

ACCEPTED_UNREADABLE = "the run was accepted and is paid for, but the answer cannot be read"


@dataclass(frozen=True)
class Partial:
    """The part of an answer that arrived; its ``status`` is None if not even that did."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Call(Generic[T]):
    """One call of an endpoint. It can be sent any number of times.

    :param url: on the configured host; ids in it are percent-quoted.
    :param label: method and path, for messages.
    :param endpoint: the same without ids, as metrics name it: ``post_grids_grid_id_run``.
    :param parse: reads the JSON of a successful answer; raises ValueError if it is not as expected.
    :param hint_on: the contract's advice on an error; returns None for none.
    :param ambiguity: what is unknown when the request may have been processed, for the message. Such a call
        is never repeated. None if it is safe to repeat.
    :param paid: whether every success is paid for, even if its answer cannot be read.
    :param timeout: seconds to wait for the answer; None for the configuration's.
    :param is_about_key: whether the call is about its own key, and must not be sent with another.
    """

    method: str
    url: str
    label: str
    endpoint: str
    headers: Mapping[str, str] = field(repr=False)
    parse: Callable[[Any], T]
    hint_on: Callable[[errors.BitScaleError], str | None]
    ambiguity: str | None = None
    paid: bool = False
    body: bytes | None = None
    timeout: float | None = None
    is_about_key: bool = False

    def read(self, config: ClientConfig, status: int, headers: Mapping[str, str], body: bytes) -> T:
        """Turn an answer into its record.

        :return: a record of carriable values, see :mod:`airflow_provider_bitscale.api.carriable`.
        :raises UnreadableAcceptanceError: a paid success that cannot be read.
        :raises TransportError: any other success that cannot be read.
        :raises BitScaleError: the error that the answer stands for.
        """
        body = config.scrub(body)
        is_success = 200 <= status < 300
        reason = ""
        if is_success:
            # As a record first: an error in it may be that of the run, not of the request.
            try:
                return self._parsed(headers, body)
            except ValueError as problem:
                reason = shorten(config.scrub_text(str(problem)))
        error = from_response(self.label, status, headers, body)
        if error is None or (is_success and self.paid and not surely_refuses(error.code)):
            raise self._unreadable(config, status, headers, body, reason)
        if not is_success and self.ambiguity is None and _is_from_elsewhere(error, body):
            message = f"not an answer of BitScale (a proxy's, or the base URL is wrong): {error.message}"
            error = errors.TransportError(message, status=status, request=self.label)
        # Scrub again: a redirect's Location is not in the body, and the body may have escaped the key. Then
        # shorten, which might cut through a key.
        message = shorten(config.scrub_text(error.message), 2 * MAX_MESSAGE_LENGTH)
        if (hint := self.hint_on(error)) is not None:
            message = f"{message.rstrip('.')}. {hint}"
        raise type(error)(**{**error.fields(), "message": message})

    def _parsed(self, headers: Mapping[str, str], body: bytes) -> T:
        # The headers of a paid answer may tell the run id that its body lacks.
        told = in_headers(headers) if self.paid else {}
        try:
            payload = read_json(body)
        except ValueError:
            if not told:
                raise
            payload = {}
        return self.parse({**told, **payload} if isinstance(payload, Mapping) else payload)

    def _unreadable(
        self, config: ClientConfig, status: int, headers: Mapping[str, str], body: bytes, reason: str
    ) -> errors.BitScaleError:
        if not self.paid:
            return errors.TransportError(
                f"the answer is not as expected: {reason}", status=status, request=self.label
            )
        message = f"{ACCEPTED_UNREADABLE}: {reason}. {config.scrub_text(excerpt(body, headers))}"
        return errors.UnreadableAcceptanceError(message, status=status, request=self.label)

    def unanswered(
        self, config: ClientConfig, causes: Sequence[BaseException], reason: str, *, sent: bool, got: Partial
    ) -> T:
        """Handle a request whose answer did not arrive, or not completely.

        :param causes: the error of the HTTP library, and those that it wraps.
        :param sent: whether the request may have been sent.
        :return: the run, if it is paid for and the part that arrived names it.
        :raises UnreadableAcceptanceError: it is paid for, and that part does not name it.
        :raises BitScaleError: the error that the status or the code in that part stands for.
        :raises TransportError: in all other cases.
        """
        message = shorten(config.scrub_text(f"{type(causes[0]).__name__}: {reason}"))
        trust = config.network.trust
        if trust is not None and any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            message = f"{message}. {trust.advice}"
        if config.network.proxy is not None and not sent:
            message = f"{message}. {config.network.proxy.advice}"
        status, headers = got.status, got.headers
        broken_off = errors.TransportError(message, sent=sent or status is not None, request=self.label)
        if status is None:
            raise broken_off from None
        if not 200 <= status < 300:
            try:
                return self.read(config, status, headers, got.body)
            except errors.InvalidRequestError as refusal:
                # The missing part may hold a code that leaves open whether a run was started.
                is_told = refusal.code is not None or _is_json(got.body)
                raise (refusal if is_told else broken_off) from None
        if not self.paid:
            raise broken_off from None
        try:
            return self._parsed(headers, config.scrub(got.body))
        except ValueError:
            reason = f"it ended before it was whole ({message})"
        raise self._unreadable(config, status, headers, config.scrub(got.body), reason) from None


def _is_from_elsewhere(error: errors.BitScaleError, body: bytes) -> bool:
    """Whether a refusal is not JSON: it is a proxy's or a gateway's, which may let the next request pass."""
    if isinstance(error, (*errors.TRANSIENT, errors.AuthenticationError)):
        return False
    return not _is_json(body)


def _is_json(body: bytes) -> bool:
    try:
        read_json(body)
    except ValueError:
        return False
    return True


class PollReader(Generic[T]):
    """Reads the answers to one call that is sent many times; parses only those that differ from the last.

    A run answers its polls alike until its status changes.
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
