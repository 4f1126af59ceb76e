from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import COMPANY, FULL_NAME

JANE = {FULL_NAME: "Jane Doe", COMPANY: "Acme Corp"}


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
