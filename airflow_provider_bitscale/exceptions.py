"""The errors of :mod:`airflow_provider_bitscale.api` as Airflow exceptions.

Each is caught by its own name, by the name of its twin in ``api``, and by ``AirflowException``. Those that a
retry cannot cure are ``AirflowFailException`` too, so the task fails without retries.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_provider_bitscale.api import errors


class ConfigurationError(errors.ConfigurationError, AirflowFailException):
    """A setting of the connection is missing or wrong."""


class AuthenticationError(errors.AuthenticationError, AirflowFailException):
    """The API key is missing, wrong or expired."""


class PermissionDeniedError(errors.PermissionDeniedError, AirflowFailException):
    """The API key is valid, but may not do this."""


class NotFoundError(errors.NotFoundError, AirflowFailException):
    """The workspace, grid or run does not exist."""


class InvalidRequestError(errors.InvalidRequestError, AirflowFailException):
    """The request is wrong and would be wrong again; no run was started."""


class RateLimitedError(errors.RateLimitedError, AirflowException):
    """Too many requests; the request was not processed."""


class InsufficientCreditsError(errors.InsufficientCreditsError, AirflowFailException):
    """The workspace has too few credits for this run; no run was started."""


class RunLimitExceededError(errors.RunLimitExceededError, AirflowFailException):
    """The plan's quota of runs is used up; no run was started."""


class FeatureDisabledError(errors.FeatureDisabledError, AirflowFailException):
    """The plan of the workspace does not include this part of the API; no run was started."""


class MissingSourceError(errors.MissingSourceError, AirflowFailException):
    """The grid has no "BitScale API" data source, which runs add their row to; no run was started."""


class UnsupportedError(errors.UnsupportedError, AirflowFailException):
    """The contract of the API in use has no such call. The message names what to use instead."""


class AmbiguousSubmitError(errors.AmbiguousSubmitError, AirflowFailException):
    """A run was submitted, or a key rotated; it is not known whether BitScale accepted it. Never repeated."""


class RetryableAmbiguousSubmitError(errors.AmbiguousSubmitError, AirflowException):
    """The same, where the DAG's author prefers to pay twice: a retry submits again."""


class UnreadableAcceptanceError(errors.UnreadableAcceptanceError, AirflowFailException):
    """A run was accepted and is paid for, but the answer names no run. Never submitted again."""


class UnreadableOutputsError(errors.UnreadableOutputsError, AirflowFailException):
    """The run has completed, but its outputs cannot be read. Clearing the task asks for them again."""


class RunFailedError(errors.RunFailedError, AirflowException):
    """BitScale reports the run as failed. A retry submits a new one."""


class AwaitedRunFailedError(errors.RunFailedError, AirflowFailException):
    """A run started elsewhere has failed: waiting for it again is of no use."""


class RunTimedOutError(errors.RunTimedOutError, AirflowException):
    """The run had not finished at the deadline. A retry goes on waiting for it, and does not pay again."""


class TooManyFailedRowsError(errors.BitScaleError, AirflowFailException):
    """More rows of a batch failed than may fail. What was found is kept, and listed in its manifest."""


class UnknownRowsError(errors.BitScaleError, AirflowException):
    """Rows of a batch are unknown with a run id: a retry asks again, and does not pay again."""


class IncompleteBatchError(errors.BitScaleError, AirflowFailException):
    """Rows of a batch are missing, and no retry would find them. What was found is kept."""


class ServerError(errors.ServerError, AirflowException):
    """BitScale answered with a 5xx."""


class TransportError(errors.TransportError, AirflowException):
    """No answer came, or none that can be understood."""


_TWINS: dict[type[errors.BitScaleError], type[errors.BitScaleError]] = {
    kind: globals()[name] for name, kind in errors.KINDS.items()
}


# Errors about what the connection leads to, although no request was answered with them.
_OF_CONNECTION = (errors.ConfigurationError, errors.InsufficientCreditsError, errors.UnsupportedError)


def as_airflow(error: errors.BitScaleError, conn_id: str | None = None) -> errors.BitScaleError:
    """Return the Airflow twin of an error; an error that is one already stays what it is.

    :param conn_id: of the connection in use, to be named by errors that are about it.
    """
    twin = _TWINS.get(type(error))
    raised = twin(**error.fields()) if twin else error
    if raised.connection is None and (error.request is not None or isinstance(error, _OF_CONNECTION)):
        raised.connection = conn_id
    return raised


@contextmanager
def airflow_errors(conn_id: str | None = None) -> Iterator[None]:
    """Raise the Airflow twin of every error that leaves the block; see :func:`as_airflow`."""
    try:
        yield
    except errors.BitScaleError as error:
        raise as_airflow(error, conn_id) from None
