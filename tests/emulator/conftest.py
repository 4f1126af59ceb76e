from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import COMPANY, FULL_NAME

JANE = {FULL_NAME: "Jane Doe", COMPANY: "Acme Corp"}
JANE_BY_LABEL = {"full_name": "Jane Doe", "company": "Acme Corp"}


class Client:
    """What a test needs to talk to an emulator as a user of the API would."""

    def __init__(self, emulator: Emulator) -> None:
        self.base_url = emulator.base_url
        self.session = requests.Session()
        self.session.headers.update({"api_key": emulator.api_key, "workspace-id": emulator.workspace_id})

    def get(self, path: str, **headers: str | None) -> requests.Response:
        return self.session.get(
            self.base_url + path, headers=_header_names(headers), timeout=10, allow_redirects=False
        )

    def run(self, grid_id: str = "grid_001", **body: object) -> requests.Response:
        body = {"inputs": JANE, **body}
        url = f"{self.base_url}/grids/{grid_id}/run"
        return self.session.post(url, json=body, timeout=10, allow_redirects=False)

    def submit(self, **body: object) -> str:
        return str(self.run("grid_001", mode="async", **body).json()["run_id"])

    def poll(self, run_id: str, grid_id: str = "grid_001") -> requests.Response:
        return self.get(f"/grids/{grid_id}/runs/{run_id}")


class KeyClient:
    """The same for an emulator that speaks the contract with workspace keys."""

    def __init__(self, emulator: Emulator) -> None:
        self.base_url = emulator.base_url
        self.session = requests.Session()
        self.session.headers["X-API-KEY"] = emulator.api_key

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.base_url + path, timeout=10, allow_redirects=False)

    def post(self, path: str, body: object = None) -> requests.Response:
        return self.session.post(self.base_url + path, json=body, timeout=10, allow_redirects=False)

    def run(self, grid_id: str = "grid_001", **body: object) -> requests.Response:
        return self.post(f"/grids/{grid_id}/run", {"inputs": JANE_BY_LABEL, **body})

    def submit(self, **body: object) -> str:
        return str(self.run("grid_001", mode="async", **body).json()["request_id"])

    def poll(self, request_id: str) -> requests.Response:
        return self.get(f"/run/status/{request_id}")

    def outcome(self, request_id: str) -> dict[str, Any]:
        """The answer to the first poll after the run is over."""
        for _ in range(200):
            answer: dict[str, Any] = self.poll(request_id).json()
            if answer["status"] in {"completed", "failed"}:
                return answer
            time.sleep(0.01)
        raise AssertionError(f"run {request_id} did not end")


def _header_names(headers: dict[str, str | None]) -> dict[str, str | None]:
    return {name if name == "api_key" else name.replace("_", "-"): value for name, value in headers.items()}


def error_code(answer: requests.Response) -> tuple[int, str]:
    """The status and code of an answer in the documented error shape, and nothing but that shape."""
    document = answer.json()
    assert set(document) == {"error"}
    assert set(document["error"]) == {"code", "message"}
    assert document["error"]["message"]
    return answer.status_code, document["error"]["code"]


@pytest.fixture(scope="session")
def _shared() -> Iterator[Emulator]:
    with Emulator(run_seconds=(0.05, 0.1)) as emulator:
        yield emulator


@pytest.fixture
def emulator(_shared: Emulator) -> Emulator:
    """A fast emulator in its start state."""
    _shared.control.reset()
    return _shared


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    client = Client(emulator)
    yield client
    client.session.close()


@pytest.fixture(scope="session")
def _shared_keyed() -> Iterator[Emulator]:
    with Emulator(
        contract="workspace-key", run_seconds=(0.05, 0.1), extra_grids=3, sync_cut_off=0.3
    ) as emulator:
        yield emulator


@pytest.fixture
def keyed(_shared_keyed: Emulator) -> Emulator:
    """A fast emulator with workspace keys in its start state."""
    _shared_keyed.control.reset()
    return _shared_keyed


@pytest.fixture
def key_client(keyed: Emulator) -> Iterator[KeyClient]:
    client = KeyClient(keyed)
    yield client
    client.session.close()
