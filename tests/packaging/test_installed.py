"""The wheel, installed by pip into an environment of its own beside Airflow: its own files, no clone."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from airflow_provider_bitscale import __version__
from airflow_provider_bitscale.emulator import Emulator
from tests.support.examples import EXAMPLE_CONN_ID
from tests.support.packages import build, run

pytestmark = pytest.mark.system

SCRIPT = Path(__file__).with_name("installed.py")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, and with all that this one has but for this checkout."""
    folder = tmp_path_factory.mktemp("installed")
    _, wheel = build(folder / "dist")
    run("-m", "venv", "--without-pip", str(folder / "venv"), executable=_base_python())
    python = folder / "venv" / "bin" / "python"
    command = ("-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index")
    run(*command, str(wheel))
    [packages] = (folder / "venv" / "lib").glob("python*/site-packages")
    # Entries of a path file are no path files themselves: the editable installation stays out.
    (packages / "airflow.pth").write_text(sysconfig.get_path("purelib"))
    return python


def _base_python() -> str:
    return str(getattr(sys, "_base_executable", sys.executable))


def test_an_example_runs_from_the_wheel(python: Path, tmp_path: Path) -> None:
    with Emulator() as emulator:
        done = subprocess.run(
            (python, SCRIPT, "bitscale_enrich_csv"),
            cwd=tmp_path,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
                "AIRFLOW_HOME": str(tmp_path / "airflow"),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
                "AIRFLOW__CORE__LOAD_EXAMPLES": "True",
                f"AIRFLOW_CONN_{EXAMPLE_CONN_ID.upper()}": emulator.connection_json(),
                "BITSCALE_EXAMPLE_OUTPUT": str(tmp_path),
            },
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr[-3_000:]
        paid = emulator.control.state()["runs_paid"]
    told = json.loads(done.stdout.splitlines()[-1])
    installed = python.parents[1]
    assert Path(told["package"]).is_relative_to(installed)
    assert Path(told["examples"]).is_relative_to(installed)
    assert told["version"] == __version__
    assert told["import_errors"] == {}
    assert told["state"] == "success", told
    with (tmp_path / "enriched_leads.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == paid == 8
    assert all(row["Enriched Email"] for row in rows)


def test_the_local_bitscale_starts_from_the_wheel(python: Path, tmp_path: Path) -> None:
    command = (python, "-m", "airflow_provider_bitscale.emulator", "--port", "0")
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("BitScale emulator at http://127.0.0.1:")
        finally:
            process.terminate()
    assert process.returncode == 0


def test_the_demo_runs_from_the_wheel(python: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        (python, "-m", "airflow", "bitscale", "demo", "--folder", tmp_path / "results", "--output", "json"),
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path / "airflow"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 8
    assert f"Enriching the rows of {python.parents[1]}" in done.stderr
    assert f"Results: {tmp_path}/results/" in done.stderr
