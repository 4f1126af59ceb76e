"""``python -m airflow_provider_bitscale.emulator``: a local BitScale until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

from airflow_provider_bitscale.emulator.rate_limit import HINTS
from airflow_provider_bitscale.emulator.server import Emulator
from airflow_provider_bitscale.emulator.settings import CONTRACTS, Settings

_PROG = "python -m airflow_provider_bitscale.emulator"


def _rate_limit(text: str) -> tuple[str, str]:
    requests, slash, seconds = text.partition("/")
    if not slash:
        raise argparse.ArgumentTypeError(f"{text!r} is not REQUESTS/SECONDS, such as 60/1")
    return requests, seconds


# How the command line differs from Settings, which check and convert what is given.
_OPTIONS: dict[str, dict[str, Any]] = {
    "port": {"default": 8765},
    "run_seconds": {"nargs": 2, "metavar": ("LOW", "HIGH")},
    "slow_runs": {"nargs": 2, "metavar": ("SHARE", "SECONDS")},
    "rate_limit": {"type": _rate_limit, "metavar": "REQUESTS/SECONDS"},
    "contract": {"choices": CONTRACTS},
    "rate_limit_hints": {"choices": HINTS},
}


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="A local BitScale, with either contract of its API. It costs nothing.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for name, setting in Settings.__pydantic_fields__.items():  # type: ignore[attr-defined]
        option = {"default": setting.default, **_OPTIONS.get(name, {})}
        parser.add_argument(f"--{name.replace('_', '-')}", help=setting.description, **option)
    return parser


def main(arguments: Sequence[str] | None = None, *, prog: str = _PROG) -> int:
    """Serve until SIGINT or SIGTERM and return the exit code: 0, or 1 when it cannot start.

    :param prog: how the command is called, for its help.
    """
    options = _parser(prog).parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        # Each option is named as the argument of Emulator.
        emulator = Emulator(**vars(options))
        emulator.start()
    except (OSError, ValueError) as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 1
    with_quotes = shlex.quote(emulator.connection_json())
    print(f"BitScale emulator at {emulator.base_url}")
    print(f"export AIRFLOW_CONN_BITSCALE_DEFAULT={with_quotes}", flush=True)
    stop.wait()
    emulator.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
