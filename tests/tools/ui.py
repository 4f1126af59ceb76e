"""`make airflow`: a real Airflow to click through, its BitScale connection and example DAGs ready."""

from __future__ import annotations

import sys
import time

from tests.support.examples import EXAMPLE_CONN_ID
from tests.support.processes import port_is_free
from tests.tools.stage import DAG_ID, command_line, run, stage

_PREFERRED_PORT = 8080
_RUN_SECONDS = (5.0, 15.0)


def main() -> int:
    """Zero after `--seconds`; without it, Ctrl-C ends it. Raises `RuntimeError` when a component dies."""
    parser = command_line("tests.tools.ui", __doc__)
    parser.add_argument("--port", type=int, help=f"default: {_PREFERRED_PORT}, or any free one")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end by itself after this long")
    options = parser.parse_args()
    port = options.port or (_PREFERRED_PORT if port_is_free(_PREFERRED_PORT) else None)
    print(f"Starting a local BitScale ({options.contract}) and Airflow ...", flush=True)
    with stage(contract=options.contract, run_seconds=_RUN_SECONDS, port=port) as scene:
        username, password = scene.airflow.login
        print(
            f"\n  {scene.airflow.url}    user {username}    password {password}\n\n"
            f"First: open the DAG {DAG_ID} and press Trigger. Its runs wait in the triggerer,\n"
            f"and the result lands in {scene.enriched_csv}\n"
            f"The connection {EXAMPLE_CONN_ID} is under Admin > Connections; BitScale itself is at\n"
            f"{scene.emulator.url}, and spends play money only. Ctrl-C ends it all.",
        )
        if scene.left_out:
            print(f"Left out, since {options.contract} has no webhooks: {', '.join(scene.left_out)}.")
        sys.stdout.flush()
        deadline = time.monotonic() + options.seconds
        while time.monotonic() < deadline:
            scene.airflow.check()
            time.sleep(1.0)
    print("Stopped; nothing is left running.")
    return 0


if __name__ == "__main__":
    run(main)
