"""Everything that can go wrong with BitScale, as one tree.

::

    BitScaleError
    ├── ConfigurationError          a setting is missing or wrong; lists every problem at once
    ├── AuthenticationError         401, INVALID_API_KEY
    ├── PermissionDeniedError       403
    ├── NotFoundError               404, WORKSPACE_NOT_FOUND, GRID_NOT_FOUND
    ├── InvalidRequestError         400, 422, MISSING_REQUIRED_FIELD, INVALID_COLUMN_TYPE,
    │                               WEBHOOK_DELIVERY_FAILED, or refused before it was sent
    ├── RateLimitedError            429
    ├── InsufficientCreditsError    402, INSUFFICIENT_CREDITS, or too few before a run
    ├── RunLimitExceededError       RUN_LIMIT_EXCEEDED, or another code that names a quota
    ├── FeatureDisabledError        FEATURE_DISABLED: not in the plan of the workspace
    ├── MissingSourceError          MISSING_SOURCE: the grid has no source that the API could add rows to
    ├── UnsupportedError            the contract of the API in use has no such call
    ├── AmbiguousSubmitError        a run may or may not have been started, or a key rotated
    ├── UnreadableAcceptanceError   a run was started and paid for, but the answer cannot be read
    ├── UnreadableOutputsError      a run has completed, but its outputs cannot be read
    ├── RunFailedError              BitScale itself said "failed"
    ├── RunTimedOutError            not finished at the deadline; it may still be running
    ├── ServerError                 5xx
    └── TransportError              no answer, or one that is not what the API document describes

Which answer stands for which error: see ``error_answers``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from airflow_provider_bitscale.api.carriable import plain_text

_FIELDS = ("message", "status", "code", "request", "retry_after", "connection")


class BitScaleError(Exception):
    """Base of all errors.

    :param message: what happened, for a person.
    :param status: HTTP status of the answer, if there was one.
    :param code: ``error.code`` of the answer, if it had one.
    :param request: method and path of the request, such as ``GET /grids/grid_001``.
    :param retry_after: seconds the server asked to wait, if it did.
    :param connection: id of the Airflow connection in use, where the error is about what that leads to.
    """

    # When the request left, in seconds of the monotonic clock: of use in this process only, and no field.
    left_at = 0.0

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request: str | None = None,
        retry_after: float | None = None,
        connection: str | None = None,
    ) -> None:
        # Whatever a library or a server put into texts has to cross Airflow's channels, and be read in a log.
        self.message = plain_text(message)
        super().__init__(self.message)
        self.status = status
        self.code = code and plain_text(code)
        self.request = request and plain_text(request)
        self.retry_after = retry_after
        self.connection = connection and plain_text(connection)

    def __str__(self) -> str:
        answer = " ".join(str(part) for part in (self.status, self.code) if part is not None)
        connection = self.connection and f"connection {self.connection!r}"
        return ": ".join(part for part in (connection, self.request, answer, self.message) if part)

    def fields(self) -> dict[str, Any]:
        """Return the keyword arguments that rebuild this error; JSON only."""
        return {name: getattr(self, name) for name in _FIELDS}

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process boundaries; keyword-only arguments do not survive the default pickling.
        return partial(type(self), **self.fields()), ()


class ConfigurationError(BitScaleError):
    """A setting of the connection is missing or wrong."""


class AuthenticationError(BitScaleError):
    """The API key is missing, wrong or expired."""


class PermissionDeniedError(BitScaleError):
    """The API key is valid, but may not do this."""


class NotFoundError(BitScaleError):
    """The workspace, grid or run does not exist."""


class InvalidRequestError(BitScaleError):
    """The request is wrong and would be wrong again; no run was started."""


class RateLimitedError(BitScaleError):
    """Too many requests; the request was not processed."""


class InsufficientCreditsError(BitScaleError):
    """The workspace has too few credits for this run; no run was started."""


class RunLimitExceededError(BitScaleError):
    """The plan's quota of runs is used up; no run was started."""


class FeatureDisabledError(BitScaleError):
    """The plan of the workspace does not include this part of the API; no run was started."""


class MissingSourceError(BitScaleError):
    """The grid has no "BitScale API" data source, which runs add their row to; no run was started."""


class UnsupportedError(BitScaleError):
    """The contract of the API in use has no such call. The message names what to use instead."""


class AmbiguousSubmitError(BitScaleError):
    """A run was submitted, or a key rotated, and it is unknown whether BitScale accepted it.

    The API has no idempotency key and no list of runs, so the request is never repeated on its own.
    """


class UnreadableAcceptanceError(BitScaleError):
    """BitScale answered a submission with success, but nothing in the answer names the run.

    The run is paid for. It is never submitted again, whatever the settings; the message tells what was
    answered.
    """


class UnreadableOutputsError(BitScaleError):
    """BitScale reports the run as completed, poll after poll, without outputs that can be read.

    The run is paid for, and keeps its id; the message tells what was answered.
    """


class RunFailedError(BitScaleError):
    """BitScale reports the run as failed."""


class RunTimedOutError(BitScaleError):
    """The run had not finished at the deadline. It may still be running, and is still paid for."""


class ServerError(BitScaleError):
    """BitScale answered with a 5xx."""


class TransportError(BitScaleError):
    """No answer came, or none that can be understood.

    :param sent: whether the request may have reached BitScale. False only where that is certain.
    """

    def __init__(self, message: str, *, sent: bool = True, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.sent = sent

    def fields(self) -> dict[str, Any]:
        """Return those of every error, and ``sent``."""
        return {**super().fields(), "sent": self.sent}


# What may be gone the next time one asks.
TRANSIENT = (RateLimitedError, ServerError, TransportError)

CODE_WEBHOOK_DELIVERY_FAILED = "WEBHOOK_DELIVERY_FAILED"

KINDS: dict[str, type[BitScaleError]] = {kind.__name__: kind for kind in BitScaleError.__subclasses__()}
