"""Starting and stopping: in a thread, from the shell, as a fixture."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from airflow_provider_bitscale.emulator import Emulator, EmulatorControl
from airflow_provider_bitscale.emulator.__main__ import main
from airflow_provider_bitscale.emulator.seed import ENRICHED_EMAIL, GRID_ID, WORKSPACE_ID
from tests.emulator.conftest import JANE, JANE_BY_LABEL, Client


@pytest.fixture
def _signals() -> Iterator[None]:
    """What the command line does with signals ends with the test."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def emulator_threads() -> set[int | None]:
    return {thread.ident for thread in threading.enumerate() if "emulator" in thread.name}


def test_close_ends_everything_even_with_clients_that_hang_on() -> None:
    before = set(threading.enumerate())
    emulator = Emulator().start()
    port = int(emulator.url.rsplit(":", 1)[1])
    client = Client(emulator)
    client.get("/user/me")  # leaves a keep-alive connection open
    emulator.control.add_fault("run_never_ends")
    emulator.control.add_fault("latency", seconds=60, on="get_run")
    run_id = client.submit(webhook_url="https://a.example/")

    def hang(*arguments: str) -> None:
        with pytest.raises(requests.ConnectionError):
            client.poll(*arguments) if arguments else client.run()

    hanging = [threading.Thread(target=hang), threading.Thread(target=hang, args=(run_id,))]
    for thread in hanging:
        thread.start()
    while len(emulator.control.requests()) < 4:
        time.sleep(0.01)
    started = time.monotonic()
    emulator.close()
    assert time.monotonic() - started < 2
    for thread in hanging:
        thread.join(5)
    assert set(threading.enumerate()) == before
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
    emulator.close()


def test_it_can_be_started_again_with_a_new_state() -> None:
    emulator = Emulator(run_seconds=(0, 0))
    with emulator:
        assert Client(emulator).run().status_code == 200
        with pytest.raises(RuntimeError, match="already started"):
            emulator.start()
    with pytest.raises(RuntimeError, match="not started"):
        _ = emulator.url
    with emulator:
        assert emulator.control.state()["runs_paid"] == 0


def test_a_taken_port_is_an_error_and_leaves_no_thread(emulator: Emulator) -> None:
    before = emulator_threads()
    with pytest.raises(OSError, match="in use"):
        Emulator(port=int(emulator.url.rsplit(":", 1)[1])).start()
    assert emulator_threads() == before


@pytest.mark.parametrize(
    "settings",
    [
        {"credits": -1},
        {"run_seconds": (2, 1)},
        {"run_seconds": (-1, 1)},
        {"slow_runs": (1.1, 1.0)},
        {"slow_runs": (-0.1, 1.0)},
        {"slow_runs": (0.1, -1.0)},
        {"rate_limit": (0, 1.0)},
        {"rate_limit": (1, 0.0)},
        {"run_limit": -1},
        {"host": "192.0.2.1"},
        {"webhook_backoff": -1.0},
        {"webhook_timeout": 0.0},
        {"contract": "v2"},
        {"sync_cut_off": -1.0},
        {"sync_cut_off": float("nan")},
        {"miss_rate": 1.1},
        {"miss_rate": -0.1},
        {"extra_grids": -1},
        {"rate_limit_hints": "loud"},
    ],
)
def test_senseless_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Emulator(**settings)  # type: ignore[arg-type]


def test_other_machines_are_served_only_if_it_is_told_so() -> None:
    for host, served in {"127.0.0.1": False, "0.0.0.0": True}.items():
        with Emulator(host=host) as emulator:
            port = int(emulator.url.rpartition(":")[2])
            with socket.socket() as client:
                assert (client.connect_ex(("127.0.0.2", port)) == 0) is served
            assert emulator.control.state()["runs"] == []


def test_the_connection_is_ready_for_airflow(emulator: Emulator) -> None:
    assert emulator.connection() == {
        "conn_type": "bitscale",
        "host": emulator.base_url,
        "password": emulator.api_key,
        "extra": {"workspace_id": "ws_abc123", "webhook_secret": emulator.webhook_secret},
    }
    assert json.loads(emulator.connection_json()) == emulator.connection()
    assert emulator.base_url == emulator.url + "/api/v1"
    assert (emulator.workspace_id, emulator.grid_id) == (WORKSPACE_ID, GRID_ID)


def test_importing_the_package_is_cheap_and_needs_no_airflow() -> None:
    code = """
import sys
import airflow_provider_bitscale.emulator as emulator
assert not {"uvicorn", "starlette", "requests"} & set(sys.modules)
emulator.Emulator, emulator.EmulatorControl
assert "uvicorn" in sys.modules and "airflow" not in sys.modules
ours = {name for name in sys.modules if name.startswith("airflow_provider_bitscale.")}
print({name for name in ours if not name.startswith("airflow_provider_bitscale.emulator")})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_line(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "airflow_provider_bitscale.emulator", "--port", "0", "--credits", "100"]
    process = subprocess.Popen(
        [*command, "--rate-limit", "50/600", "--run-seconds", "0", "0", "--seed", "3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        base_url = process.stdout.readline().split()[-1]
        export = shlex.split(process.stdout.readline())
        assert export[0] == "export"
        name, _, value = export[1].partition("=")
        connection = json.loads(value)
        assert (name, connection["host"]) == ("AIRFLOW_CONN_BITSCALE_DEFAULT", base_url)
        answer = requests.post(
            f"{base_url}/grids/grid_001/run",
            json={"inputs": JANE},
            headers={"api_key": connection["password"], "workspace-id": connection["extra"]["workspace_id"]},
            timeout=5,
        )
        credits = answer.json()["credits"]
        assert credits["consumed"] + credits["remaining"] == 100
        assert answer.headers["X-RateLimit-Limit"] == "50"
        control = EmulatorControl(base_url.removesuffix("/api/v1"))
        assert control.state()["runs_paid"] == 1
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.communicate()[1] == ""
    finally:
        process.kill()
        process.wait()


def test_the_command_line_speaks_the_other_contract() -> None:
    command = [sys.executable, "-m", "airflow_provider_bitscale.emulator", "--port", "0"]
    command += ["--contract", "workspace-key", "--miss-rate", "1", "--sync-cut-off", "0.1"]
    command += ["--rate-limit", "2/600", "--rate-limit-hints", "retry-after", "--run-seconds", "60", "60"]
    command += ["--slow-runs", "1", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        value = shlex.split(process.stdout.readline())[1].partition("=")[2]
        connection = json.loads(value)
        assert connection["extra"]["api_contract"] == "workspace-key"
        url = f"{connection['host']}/grids/grid_001/run"
        headers = {"X-API-KEY": connection["password"]}
        control = EmulatorControl(connection["host"].removesuffix("/api/v1"))
        body = {"inputs": JANE_BY_LABEL, "output_columns": [ENRICHED_EMAIL]}
        missed = requests.post(url, json=body, headers=headers, timeout=5).json()
        assert missed["outputs"][ENRICHED_EMAIL]["value"] == "No email found"
        control.add_fault("run_never_ends")
        assert requests.post(url, json=body, headers=headers, timeout=5).json()["status"] == "running"
        assert "Retry-After" in requests.post(url, json=body, headers=headers, timeout=5).headers
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--rate-limit", "fast"], 2, "REQUESTS/SECONDS"),
        (["--webhook-target", "http://example.com"], 1, "loopback"),
        (["--run-seconds", "2", "1"], 1, "run_seconds"),
        (["--slow-runs", "2", "1"], 1, "slow_runs"),
        (["--contract", "v2"], 2, "workspace-key"),
        (["--rate-limit-hints", "loud"], 2, "retry-after"),
        (["--miss-rate", "2"], 1, "miss_rate"),
        (["--sync-cut-off", "-1"], 1, "sync_cut_off"),
    ],
)
@pytest.mark.timeout(20)
@pytest.mark.usefixtures("_signals")
def test_a_wrong_command_line_is_told(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, told: str
) -> None:
    try:
        ended_with: object = main(["--port", "0", *arguments])
    except SystemExit as ended:
        ended_with = ended.code
    assert (ended_with, told in capsys.readouterr().err) == (code, True)


def test_the_fixture_gives_a_fresh_emulator_and_the_connection(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        'pytest_plugins = ["airflow_provider_bitscale.emulator.pytest_plugin"]\n'
    )
    (tmp_path / "test_user.py").write_text(
        "import json, os, pytest, requests\n"
        "@pytest.mark.parametrize('turn', [1, 2])\n"
        "def test_run(bitscale_emulator, turn):\n"
        "    connection = json.loads(os.environ['AIRFLOW_CONN_BITSCALE_DEFAULT'])\n"
        "    assert connection == bitscale_emulator.connection()\n"
        "    assert bitscale_emulator.control.requests() == []\n"
        "    headers = {'api_key': connection['password']}\n"
        "    assert requests.get(connection['host'] + '/user/me', headers=headers).ok\n"
        "def test_without(): assert 'AIRFLOW_CONN_BITSCALE_DEFAULT' not in os.environ\n"
    )
    environment = {
        name: value for name, value in os.environ.items() if name != "AIRFLOW_CONN_BITSCALE_DEFAULT"
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert "3 passed" in done.stdout, done.stdout
