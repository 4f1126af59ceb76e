"""The local BitScale by a command: the demo enriches a file, and leaves nothing behind but the results."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path

import pytest

from airflow_provider_bitscale.cli import local
from airflow_provider_bitscale.cli.definition import CONTRACTS
from tests.cli.conftest import Bitscale
from tests.support.processes import port_is_free


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_demo_enriches_its_file_and_stops(
    contract: str, bitscale: Bitscale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_RUN_SECONDS", (0.05, 0.1))
    environment = dict(os.environ)
    done = bitscale("demo", "--contract", contract, "--folder", str(tmp_path / "new"), "-o", "json")
    assert done.code == 0, done.err
    shown = json.loads(done.out)
    with local.LEADS.open(newline="", encoding="utf-8") as file:
        assert [row["name"] for row in shown] == [lead["name"] for lead in csv.DictReader(file)]
    assert all(row["Enriched Email"] and row["LinkedIn URL"] for row in shown)
    told = re.search(r"^Results: (.+)$", done.err, re.MULTILINE)
    assert told is not None
    with Path(told[1]).open(newline="", encoding="utf-8") as file:
        assert [row["Enriched Email"] for row in csv.DictReader(file)] == [
            row["Enriched Email"] for row in shown
        ]
    assert re.search(rf"{len(shown)} of {len(shown)} rows enriched in .* for [1-9]\d* credits", done.err)
    port = re.search(r"http://127\.0\.0\.1:(\d+)/", done.err)
    assert port is not None
    assert port_is_free(int(port[1]))
    assert dict(os.environ) == environment


def test_the_demo_uses_no_connection_and_no_shared_state_of_the_deployment(
    bitscale: Bitscale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_RUN_SECONDS", (0.05, 0.1))
    monkeypatch.setenv(
        "AIRFLOW_CONN_BITSCALE_DEFAULT", '{"conn_type": "bitscale", "host": "http://127.0.0.1:1"}'
    )
    monkeypatch.setenv("AIRFLOW__BITSCALE__SHARED_STATE_URL", "redis://127.0.0.1:1/0")
    assert bitscale("demo", "--folder", str(tmp_path)).code == 0
    assert os.environ["AIRFLOW__BITSCALE__SHARED_STATE_URL"] == "redis://127.0.0.1:1/0"


def test_a_folder_that_cannot_be_made_is_told_in_one_line(bitscale: Bitscale, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = bitscale("demo", "--folder", str(tmp_path / "file" / "results"))
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(r"error: --folder .+: Not a directory\n", done.err)


def test_the_demo_leads_come_with_the_package() -> None:
    assert local.LEADS.is_file()
