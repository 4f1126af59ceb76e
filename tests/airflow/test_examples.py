"""Every example DAG does what it shows, by a real `dag.test()` against the emulator."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from airflow_provider_bitscale.api.config import V1_1_0, WORKSPACE_KEY
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.webhooks.assets import bitscale_run_asset
from tests.airflow.conftest import RunDag
from tests.support.clients import posted_bodies
from tests.support.examples import EXAMPLE_CONN_ID, EXAMPLE_DAGS, examples_left_out
from tests.support.hooks import connect

FILES = sorted(EXAMPLE_DAGS.glob("bitscale_*.py"))
ADA = "ada.lovelace@analyticalengines.com"


def credits_spent(emulator: Emulator) -> int:
    return 65_800 - int(emulator.control.state()["credits"]["ws_abc123"]["remaining"])


def test_each_is_one_short_file_that_imports_without_an_error() -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(EXAMPLE_DAGS)
    assert bag.import_errors == {}
    assert set(bag.dags) == {file.stem for file in FILES}
    assert all(dag.doc_md for dag in bag.dags.values())
    for file in FILES:
        assert len(file.read_text(encoding="utf-8").splitlines()) < 80, file.name


def test_none_is_started_by_a_clock() -> None:
    """Where ``[core] load_examples`` is set, Airflow loads them beside the user's own."""
    from airflow.dag_processing.dagbag import DagBag

    schedules = {dag_id: dag.schedule for dag_id, dag in DagBag(EXAMPLE_DAGS).dags.items()}
    delivered = schedules.pop("bitscale_collect_deliveries")
    assert delivered == bitscale_run_asset("grid_001", bitscale_conn_id=EXAMPLE_CONN_ID)
    assert set(schedules.values()) == {None}


@pytest.fixture(autouse=True)
def _examples_spend_by_their_own_connection(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example that runs here shows that it needs no `bitscale_default`."""
    connect(monkeypatch, emulator, EXAMPLE_CONN_ID)
    monkeypatch.delenv("AIRFLOW_CONN_BITSCALE_DEFAULT")


KEYED = [file.stem for file in FILES if file.stem not in examples_left_out(WORKSPACE_KEY)]


def test_those_with_webhooks_are_left_out_where_there_are_none() -> None:
    assert examples_left_out(V1_1_0) == ()
    assert {file.stem for file in FILES}.difference(KEYED) == {
        "bitscale_collect_deliveries",
        "bitscale_collect_undelivered",
        "bitscale_enrich_with_webhook",
        "bitscale_submit_with_webhook",
    }


@pytest.mark.parametrize("contract", [WORKSPACE_KEY])
@pytest.mark.parametrize("dag_id", KEYED)
@pytest.mark.usefixtures("emulator")
def test_all_others_succeed_under_workspace_key(
    dag_id: str, run_dag: RunDag, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BITSCALE_EXAMPLE_OUTPUT", str(tmp_path))
    dag = run_dag(EXAMPLE_DAGS, dag_id)
    assert set(dag.states.values()) == {"success"}, dag.states
    if dag_id == "bitscale_enrich_chunks":
        assert dag.xcom("report") == "8 leads, 8 runs did not tell what they cost"


def test_one_row(run_dag: RunDag, emulator: Emulator) -> None:
    dag = run_dag(EXAMPLE_DAGS, "bitscale_one_row")
    result = dag.xcom("enrich")
    assert list(result["outputs"]) == ["Enriched Email"]
    assert result["credits"]["consumed"] == credits_spent(emulator) > 0


def test_one_row_deferrable(run_dag: RunDag, emulator: Emulator) -> None:
    dag = run_dag(EXAMPLE_DAGS, "bitscale_one_row_deferrable", name="Ada {{ ds }} Lovelace", company="X")
    assert dag.states == {"enrich": "success", "report": "success"}
    result = dag.xcom("enrich")
    assert dag.xcom("report") == f"{result['outputs']['Enriched Email']}, found by {result['run_id']}"
    [post] = posted_bodies(emulator)
    assert "Ada {{ ds }} Lovelace" in post["inputs"].values()


def test_submit_then_collect(run_dag: RunDag, emulator: Emulator) -> None:
    dag = run_dag(EXAMPLE_DAGS, "bitscale_submit_then_collect")
    receipt, result = dag.xcom("submit"), dag.xcom("collect")
    assert set(receipt) == {"run_id", "grid_id", "status"}
    assert result["run_id"] == receipt["run_id"]
    assert result["status"] == "completed"
    assert result["outputs"]["Full Name"] == "Alan Turing"
    assert len(posted_bodies(emulator)) == 1


def test_submit_with_webhook(run_dag: RunDag, emulator: Emulator) -> None:
    dag = run_dag(EXAMPLE_DAGS, "bitscale_submit_with_webhook")
    assert dag.states["leads"] == "success"
    urls = [body["webhook_url"] for body in posted_bodies(emulator)]
    assert len(urls) == len(set(urls)) == 8, "a token for each"
    assert all(url.startswith("https://airflow.example.com/bitscale/webhooks/bitscale_e") for url in urls)
    assert not any(run["polls"] for run in emulator.control.state()["runs"])


def test_collect_undelivered(run_dag: RunDag, emulator: Emulator) -> None:
    run_dag(EXAMPLE_DAGS, "bitscale_submit_with_webhook")
    found = run_dag(EXAMPLE_DAGS, "bitscale_collect_undelivered").xcom("collect")
    assert found == {"delivered": [], "open": [], "given_up": []}, "none was submitted 15 minutes ago"
    assert not any(run["polls"] for run in emulator.control.state()["runs"])


def test_credits_gate(run_dag: RunDag, emulator: Emulator) -> None:
    dag = run_dag(EXAMPLE_DAGS, "bitscale_credits_gate")
    assert dag.states == {"enough_credits": "success", "enrich": "success"}
    assert dag.xcom("enough_credits")["remaining"] == 65_800


def test_enrich_csv(
    run_dag: RunDag, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BITSCALE_EXAMPLE_OUTPUT", str(tmp_path))
    dag = run_dag(EXAMPLE_DAGS, "bitscale_enrich_csv")
    assert set(dag.states.values()) == {"success"}, dag.states
    written = Path(dag.xcom("write_enriched"))
    assert written == tmp_path / "enriched_leads.csv"
    with (EXAMPLE_DAGS / "data" / "leads.csv").open(newline="", encoding="utf-8") as file:
        leads = list(csv.DictReader(file))
    with written.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["Full Name"], row["Company"]) for row in rows] == [
        (lead["name"], lead["company"]) for lead in leads
    ]
    assert all(row["Enriched Email"] and row["LinkedIn URL"] for row in rows)
    assert sum(int(row["Credits"]) for row in rows) == credits_spent(emulator)
    assert dag.map_labels("enrich") == [lead["company"] for lead in leads]
    assert len(posted_bodies(emulator)) == emulator.control.state()["runs_paid"] == len(leads) == 8
    # A lead whose name looks like a template is a lead with a strange name.
    assert rows[-1]["Full Name"] == "{{ ds }} Smith"
    names = [post["inputs"]["3f7a1c2e-9b4d-4e8f-a012-bc3d56ef7890"] for post in posted_bodies(emulator)]
    assert sorted(names) == sorted(lead["name"] for lead in leads)


def test_enrich_table(
    run_dag: RunDag, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BITSCALE_EXAMPLE_OUTPUT", str(tmp_path))
    dag = run_dag(EXAMPLE_DAGS, "bitscale_enrich_table")
    assert set(dag.states.values()) == {"success"}, dag.states
    manifest = dag.xcom("enrich")
    assert manifest["counts"]["succeeded"] == manifest["rows"] == 8
    assert manifest["credits"] == credits_spent(emulator) > 0
    assert [dag.xcom("load", index) for index in range(2)] == [4, 4]
    assert dag.map_labels("load") == [path.rpartition("/")[2] for path in manifest["parts"]]
    assert sorted(path.name for path in (tmp_path / "enriched").iterdir()) == sorted(
        path.rpartition("/")[2] for path in (*manifest["parts"], manifest["manifest_path"])
    )
    names = [post["inputs"]["3f7a1c2e-9b4d-4e8f-a012-bc3d56ef7890"] for post in posted_bodies(emulator)]
    assert "{{ ds }} Smith" in names


def test_enrich_chunks(run_dag: RunDag, emulator: Emulator) -> None:
    dag = run_dag(EXAMPLE_DAGS, "bitscale_enrich_chunks")
    assert set(dag.states.values()) == {"success"}, dag.states
    assert dag.xcom("report") == f"8 leads, {credits_spent(emulator)} credits"
    assert dag.map_labels("enrich")[0] == "Analytical Engines and 3 more"
    assert [row["Full Name"] for row in dag.xcom("enrich", 1)["results"]][-1] == "{{ ds }} Smith"
    assert emulator.control.state()["runs_paid"] == 8
