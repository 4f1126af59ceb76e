"""What `make demo` and `make airflow` share: Airflow beside a local BitScale, and a tidy end."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from airflow_provider_bitscale.api.config import API_CONTRACTS, V1_1_0, WORKSPACE_KEY
from airflow_provider_bitscale.emulator import Emulator
from tests.support.examples import EXAMPLE_CONN_ID, EXAMPLE_DAGS, examples_left_out
from tests.support.local_airflow import LocalAirflow
from tests.support.processes import free_port

DAG_ID = "bitscale_enrich_csv"
# As BitScale is observed to limit it.
_RATE_LIMITS = {WORKSPACE_KEY: (5, 1.0)}


@dataclass(frozen=True)
class Stage:
    """A running Airflow with the example DAGs, connected to a running emulator."""

    airflow: LocalAirflow
    emulator: Emulator
    output: Path
    left_out: tuple[str, ...]
    """Example DAGs that the contract has nothing for."""

    @property
    def enriched_csv(self) -> Path:
        """Where the DAG writes its result."""
        return self.output / "enriched_leads.csv"


@contextmanager
def stage(*, contract: str, run_seconds: tuple[float, float], port: int | None = None) -> Iterator[Stage]:
    """Everything ready to trigger `DAG_ID`; processes ended and files removed on leaving.

    Raises `RuntimeError` with the tail of the logs, or with an example DAG's import error.
    """
    with tempfile.TemporaryDirectory(prefix="bitscale-demo-") as folder:
        output = Path(folder) / "output"
        output.mkdir()
        port = port or free_port()
        left_out = examples_left_out(contract)
        dags = Path(folder) / "dags"
        shutil.copytree(EXAMPLE_DAGS, dags, ignore=shutil.ignore_patterns(*(f"{dag}.py" for dag in left_out)))
        env = {
            "BITSCALE_EXAMPLE_OUTPUT": str(output),
            "BITSCALE_EXAMPLE_AIRFLOW_INTERNAL": f"http://127.0.0.1:{port}",
            "AIRFLOW__BITSCALE__WEBHOOK_CONNECTIONS": EXAMPLE_CONN_ID,
        }
        with (
            Emulator(
                contract=contract,
                seed=7,
                run_seconds=run_seconds,
                rate_limit=_RATE_LIMITS.get(contract),
                webhook_target=f"http://127.0.0.1:{port}",
            ) as emulator,
            LocalAirflow(Path(folder) / "airflow", dags, env=env, port=port) as airflow,
        ):
            # The port of the base URL counts; but the Test button of Airflow 3.3.1 and 3.3.2 refuses a
            # connection without one (apache/airflow#73298).
            airflow.add_connection(EXAMPLE_CONN_ID, {**emulator.connection(), "port": 443})
            airflow.wait_for_dags({DAG_ID})
            yield Stage(airflow, emulator, output, left_out)


def command_line(module: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with the option that both commands have: the contract of the local BitScale."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--contract", choices=API_CONTRACTS, default=V1_1_0)
    return parser


def run(main: Callable[[], int]) -> None:
    """Exit with `main`'s code; one Ctrl-C (or SIGTERM) ends it tidily, further ones cannot interrupt that."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nStopped; nothing is left running.")
        sys.exit(130)
    except (RuntimeError, TimeoutError) as error:
        print(f"\nThis did not work: {error}", file=sys.stderr)
        sys.exit(1)


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    print("\nStopping ...", flush=True)
    raise KeyboardInterrupt
