"""What a version left behind in Airflow and on disk, kept as a file and brought back to life."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.runs.request import RunRequest

HERE = Path(__file__).parent
FOLDER = "{folder}"
# Part of a fingerprint. An emulator listens elsewhere each time, an account of BitScale does not.
BASE_URL = "https://api.bitscale.ai/api/v1"


@dataclass
class Kept:
    """A task instance as a version left it.

    :param operator: class path of the operator, with the ``arguments`` its DAG gives it.
    :param written_at: Unix seconds.
    :param runs: the runs that BitScale had accepted: their ids, and their inputs.
    :param store: the task's state store.
    :param files: texts by path, below :data:`FOLDER`.
    :param trigger: class path and arguments, where the task was deferred.
    :param next_method: of the operator, which Airflow calls with the trigger's event.
    :param xcom: what the task returned, where it had succeeded.
    :param pushed: its other XComs.
    """

    operator: str
    arguments: dict[str, Any]
    written_at: float
    runs: list[tuple[str, dict[str, Any]]]
    store: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)
    trigger: tuple[str, dict[str, Any]] | None = None
    next_method: str | None = None
    xcom: Any = None
    pushed: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write it down, to be committed."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def load(path: Path, folder: Path, submit: Callable[[Mapping[str, Any]], str], now: float) -> Kept:
    """Bring a task instance back, as if it had been left just now.

    :param folder: its files are put below this one.
    :param submit: has an emulator accept a run for these inputs; its id.
    :param now: Unix seconds.
    """
    text = path.read_text(encoding="utf-8")
    for run_id, inputs in json.loads(text)["runs"]:
        text = text.replace(run_id, submit(inputs))
    values = json.loads(text.replace(FOLDER, str(folder)))
    kept = Kept(**_later(values, values["written_at"], now))
    for name, content in kept.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return kept


def _later(value: Any, written_at: float, now: float) -> Any:
    """The same value, with each time in it as far from now as it was from when it was written."""
    if isinstance(value, dict):
        return {key: _later(item, written_at, now) for key, item in value.items()}
    if isinstance(value, list):
        return [_later(item, written_at, now) for item in value]
    is_time = isinstance(value, float) and abs(value - written_at) < 10 * 24 * 3600
    return value - written_at + now if is_time else value


def files_below(folder: Path) -> dict[str, str]:
    """All files of a folder, by their path in it."""
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def with_folder(value: Any, folder: Path) -> Any:
    """The value with :data:`FOLDER` for the folder wherever it names it."""
    return json.loads(re.sub(re.escape(str(folder)), FOLDER, json.dumps(value)))


def accepted_runs(emulator: Emulator) -> list[tuple[str, dict[str, Any]]]:
    """The runs of an emulator: their ids, and their inputs by column id."""
    return [(run["run_id"], run["inputs"]) for run in emulator.control.state()["runs"]]


def made(path: str, arguments: Mapping[str, Any]) -> BaseOperator:
    """The operator of that class path."""
    module, _, name = path.rpartition(".")
    operator: BaseOperator = getattr(import_module(module), name)(task_id="enrich", **arguments)
    return operator


def one_base_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fingerprints are those of one base URL, wherever the emulator listens."""
    fingerprint = RunRequest.fingerprint
    monkeypatch.setattr(
        RunRequest,
        "fingerprint",
        lambda request, base_url, workspace_id: fingerprint(request, BASE_URL, workspace_id),
    )
