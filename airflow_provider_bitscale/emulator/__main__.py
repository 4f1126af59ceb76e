"""``python -m airflow_provider_bitscale.emulator``: a local BitScale until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Sequence

from airflow_provider_bitscale.emulator.rate_limit import HINTS
from airflow_provider_bitscale.emulator.server import Emulator
from airflow_provider_bitscale.emulator.settings import CONTRACTS, Settings


def _rate_limit(text: str) -> tuple[str, str]:
    requests, slash, seconds = text.partition("/")
    if not slash:
        raise argparse.ArgumentTypeError(f"{text!r} is not REQUESTS/SECONDS, such as 60/1")
    return requests, seconds


def _parser() -> argparse.ArgumentParser:
    # What is not given has the default of Settings, which also check and convert what is.
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_bitscale.emulator",
        description="A local BitScale on 127.0.0.1, with either contract of its API. It costs nothing.",
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("--contract", choices=CONTRACTS, help=f"what the API looks like (default {Settings.contract})")
    add("--port", default=8765, help="0: any free port (default %(default)s)")
    seed = "same seed and inputs, same answers and run ids (default: answers of seed 0, fresh run ids)"
    add("--seed", help=seed)
    add("--credits", help="credits left in the demo workspace")
    run_seconds = "how long runs take, in seconds: log-normal between the two"
    add("--run-seconds", nargs=2, metavar=("LOW", "HIGH"), help=run_seconds)
    slow_runs = "share of runs, from 0 to 1, that take SECONDS instead"
    add("--slow-runs", nargs=2, metavar=("SHARE", "SECONDS"), help=slow_runs)
    rate_limit = "per API key, under workspace-key per workspace"
    add("--rate-limit", type=_rate_limit, metavar="REQUESTS/SECONDS", help=rate_limit)
    hints = "what answers tell of the limit (default: headers under v1.1.0, nothing under workspace-key)"
    add("--rate-limit-hints", choices=HINTS, help=hints)
    cut_off = "when workspace-key answers a sync request whose run has not ended"
    add("--sync-cut-off", metavar="SECONDS", help=f"{cut_off} (default {Settings.sync_cut_off})")
    add("--miss-rate", metavar="SHARE", help="share of enrichments that find nothing, from 0 to 1")
    target = "loopback origin that receives all webhooks in place of their hosts"
    add("--webhook-target", metavar="URL", help=target)
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
