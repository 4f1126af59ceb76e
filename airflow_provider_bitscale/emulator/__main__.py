"""``python -m airflow_provider_bitscale.emulator``: a local BitScale until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Sequence

from airflow_provider_bitscale.emulator.contracts import CONTRACTS
from airflow_provider_bitscale.emulator.rate_limit import HINTS
from airflow_provider_bitscale.emulator.server import Emulator


def _rate_limit(text: str) -> tuple[int, float]:
    requests, _, seconds = text.partition("/")
    try:
        return int(requests), float(seconds)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not REQUESTS/SECONDS, such as 60/1") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_bitscale.emulator",
        description="A local BitScale on 127.0.0.1, with either contract of its API. It costs nothing.",
    )
    parser.add_argument(
        "--contract",
        choices=tuple(CONTRACTS),
        default="v1.1.0",
        help="what the API looks like (default %(default)s)",
    )
    parser.add_argument("--port", type=int, default=8765, help="0: any free port (default %(default)s)")
    parser.add_argument(
        "--seed",
        type=int,
        help="same seed and inputs, same answers and run ids (default: answers of seed 0, fresh run ids)",
    )
    parser.add_argument("--credits", type=int, default=65_800, help="credits left in the demo workspace")
    parser.add_argument(
        "--run-seconds",
        type=float,
        nargs=2,
        default=(0.2, 0.5),
        metavar=("LOW", "HIGH"),
        help="how long runs take, in seconds: log-normal between the two",
    )
    parser.add_argument(
        "--slow-runs",
        type=float,
        nargs=2,
        default=(0.0, 0.0),
        metavar=("SHARE", "SECONDS"),
        help="share of runs, from 0 to 1, that take SECONDS instead",
    )
    parser.add_argument(
        "--rate-limit",
        type=_rate_limit,
        metavar="REQUESTS/SECONDS",
        help="per API key, under workspace-key per workspace",
    )
    parser.add_argument(
        "--rate-limit-hints",
        choices=HINTS,
        help="what answers tell of the limit (default: headers under v1.1.0, nothing under workspace-key)",
    )
    parser.add_argument(
        "--sync-cut-off",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="when workspace-key answers a sync request whose run has not ended (default %(default)s)",
    )
    parser.add_argument(
        "--miss-rate",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of enrichments that find nothing, from 0 to 1",
    )
    parser.add_argument(
        "--webhook-target",
        metavar="URL",
        help="loopback origin that receives all webhooks in place of their hosts",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM and return the exit code: 0, or 1 when it cannot start."""
    options = _parser().parse_args(arguments)
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
