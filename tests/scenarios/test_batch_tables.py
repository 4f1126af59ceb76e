"""A table as people have it: what is sent of it is told, and what comes of it can be loaded as one table."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale import api
from airflow_provider_bitscale.batch.table.storage import StoreError
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import COMPANY, FULL_NAME, LINKEDIN_URL
from tests.support.batches import EMAIL, ONE_CONTRACT, Batch, names_paid, people, statuses
from tests.support.clients import posted_bodies
from tests.support.hooks import connect
from tests.support.object_stores import Objects, attached


@pytest.fixture(autouse=True)
def _connected(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, emulator)


HEADERS = ["full name,COMPANY", "Full\u00a0Name,Company ", "\ufefffullName,company", "full_name,company"]


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_that_nearly_matches_is_sent(header: str, emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text(f"{header}\nAda,Acme\n", encoding="utf-8")
    manifest = Batch(rows_path=f"file://{tmp_path}/leads.csv").attempt()
    assert statuses(manifest) == {"succeeded": 1}
    [body] = posted_bodies(emulator)
    assert set(body["inputs"].values()) == {"Ada", "Acme"}


def test_what_is_sent_is_told_and_what_may_not_be_meant(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "airflow_provider_bitscale")
    names = ("Ada", "NULL", "Total")
    rows = [{"FULL NAME": name, "Companyy": "x", EMAIL: "old", "_status": "x"} for name in names]
    Batch(rows=rows).attempt()
    told = "\n".join(caplog.messages)
    name, company = ("full_name", "company") if emulator.contract != "v1.1.0" else ("Full Name", "Company")
    assert f"Fields → inputs: 'FULL NAME' → {name!r}; inputs that get nothing: " in told
    assert f"{company!r} (is it the field 'Companyy'? input_fields={{{company!r}: 'Companyy'}})" in told
    assert f"1 row has 'NULL' as {name} (row 2), and it is sent as it is" in told
    assert "row 3, the last row, looks like a total or a count of rows, and is paid for like any" in told
    assert f"The outputs replace fields of the same name: {EMAIL!r}, '_status'" in told


@ONE_CONTRACT
def test_what_would_be_sent_is_told_where_rows_are_refused(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "airflow_provider_bitscale")
    with pytest.raises(api.InvalidRequestError, match="no field is the required input 'Full Name'"):
        Batch(rows=[{"Name": "Ada", "Company": "Acme"}]).attempt()
    assert "Fields → inputs: 'Company' → 'Company'; inputs that get nothing: 'Full Name'" in caplog.text
    assert posted_bodies(emulator) == []


@ONE_CONTRACT
def test_null_values_are_a_setting_of_the_batch(emulator: Emulator) -> None:
    rows = [{"Full Name": "Null", "Company": "-"}, {"Full Name": "Ada", "Company": r"\N"}]
    Batch(rows=rows, null_values=["-"]).attempt()
    sent = {body["inputs"][FULL_NAME]: body["inputs"].get(COMPANY) for body in posted_bodies(emulator)}
    assert sent == {"Null": None, "Ada": r"\N"}


@ONE_CONTRACT
def test_all_parts_have_one_header_over_all_tries(emulator: Emulator, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "1", "Full Name": "Ada"},
        {"Full Name": "Grace", EMAIL: "old", "Company": "Navy"},
        {"phone": "0041", "id": "3", "Full Name": "Zoe"},
        {"Full Name": "Li"},
    ]
    options = {"output_path": f"file://{tmp_path}", "output_format": "csv", "segment_size": 1}
    batch = Batch(rows=rows, batch_timeout=1.5, output_columns=[LINKEDIN_URL, EMAIL], **options)
    leave_one_running(batch, emulator)
    manifest = batch.attempt()
    headers = {Path(part.removeprefix("file://")).read_text().splitlines()[0] for part in manifest["parts"]}
    own = "_status,_run_id,_credits,_error"
    assert headers == {f"id,Full Name,Company,phone,{','.join(manifest['output_names'])},{own}"}
    assert len(manifest["parts"]) == 4


@ONE_CONTRACT
def test_an_outage_of_the_store_of_parts_is_waited_out_by_a_retry(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = attached(Objects, "leads/out")
    batch = Batch(rows=people(20), segment_size=5, batch_timeout=1.5, output_path=str(folder))
    leave_one_running(batch, emulator)
    with monkeypatch.context() as outage:
        outage.setattr(Objects, "writing", TimeoutError("the store is away"))
        with pytest.raises(
            StoreError, match=r"objects://leads/out/.*-check: TimeoutError: the store is away"
        ):
            batch.attempt()
    manifest = batch.attempt()
    assert manifest["counts"]["succeeded"] == 20
    assert set(names_paid(emulator).values()) == {1}


def leave_one_running(batch: Batch, emulator: Emulator) -> None:
    """One try that ends before one of its runs, which has finished when the next begins."""
    emulator.control.add_fault("run_never_ends", times=1)
    with pytest.raises(api.RunTimedOutError):
        batch.attempt()
    [stuck] = [run for run in emulator.control.state()["runs"] if run["status"] == "running"]
    emulator.control.finish_run(stuck["run_id"])
