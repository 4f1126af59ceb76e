"""What is around each command: the hook of a connection, errors in one line, and exit codes."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_bitscale.cli.records import one_line

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook

# Besides 0. BitScale, or what leads to it, says no; the command line is wrong; Ctrl+C, as shells have it.
REFUSED = 1
USAGE = 2
INTERRUPTED = 130
# By which Airflow decides whether its database is asked for a connection.
_PROCESS_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"
# The package, and the server of the local BitScale.
_LOGGERS = ("airflow_provider_bitscale", "uvicorn")


class CommandError(Exception):
    """Ends a command with a message on stderr.

    :param exit_code: of the process.
    """

    def __init__(self, message: str, exit_code: int = REFUSED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def command(function: Callable[[Namespace], None]) -> Callable[[Namespace], None]:
    """Make a command of a function: whatever it raises becomes one line on stderr and an exit code."""

    @wraps(function)
    def run(args: Namespace) -> None:
        _print_any_character()
        try:
            with _problems_logged():
                function(args)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever reads has seen enough. Python flushes once more at the end, and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(REFUSED)
        except CommandError as error:
            _end(str(error), error.exit_code)
        except KeyboardInterrupt:
            _end("interrupted", INTERRUPTED)
        except Exception as error:
            _end(_text_of(error), REFUSED)

    return run


def note(text: str) -> None:
    """Tell something that is no part of the result."""
    print(one_line(text), file=sys.stderr, flush=True)


def hook_of(conn_id: str) -> BitScaleHook:
    """Return the hook of a connection, which has been read.

    :raises CommandError: there is no such connection.
    """
    from airflow.sdk.exceptions import AirflowNotFoundException

    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook

    os.environ.setdefault(_PROCESS_CONTEXT, "server")
    hook = BitScaleHook(conn_id)
    try:
        _ = hook.config
    except AirflowNotFoundException:
        raise CommandError(_not_found(conn_id)) from None
    return hook


def _not_found(conn_id: str) -> str:
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    if variable in os.environ:
        return f"connection {conn_id!r}: {variable} is neither a URI nor JSON that Airflow can read"
    from airflow.secrets.metastore import MetastoreBackend

    try:
        MetastoreBackend().get_connection(conn_id)
    except Exception as error:
        # Its text may name user and host of the database.
        return (
            f"connection {conn_id!r} is not in the environment, and Airflow's database cannot be asked "
            f"({type(error).__name__}): set {variable}, or mend the database"
        )
    return f"connection {conn_id!r} does not exist: add it to Airflow, or name another one with --conn-id"


def _text_of(error: Exception) -> str:
    from airflow.sdk.exceptions import AirflowException
    from airflow.sdk.log import redact  # type: ignore[attr-defined]

    from airflow_provider_bitscale.api.errors import BitScaleError

    if isinstance(error, (BitScaleError, AirflowException)):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return f"unexpected {type(error).__name__} in {place}: {redact(str(error))}"


def _end(message: str, exit_code: int) -> None:
    note(f"error: {message}")
    sys.exit(exit_code)


@contextmanager
def _problems_logged() -> Iterator[None]:
    """Log no more than warnings, unless Airflow is set to log everything."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        if logger.isEnabledFor(logging.INFO) and not logger.isEnabledFor(logging.DEBUG):
            logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _print_any_character() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
