"""A table goes in, the same table comes out with what was found beside it; what is wrong is said before."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.observability import stats

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api.config import API_CONTRACTS, V1_1_0
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME
from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator
from tests.airflow.conftest import FIXTURE_DAGS, RunDag
from tests.support.batches import EMAIL, ONE_CONTRACT, Batch, people, statuses, written
from tests.support.clients import posted_bodies

CONTRACTS = API_CONTRACTS


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"file://{path}"


def write_csv(path: Path, rows: list[dict[str, Any]]) -> str:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return f"file://{path}"


@pytest.mark.parametrize("mode", ["async", "sync"])
def test_rows_of_a_list_come_back_with_what_was_found(mode: str, emulator: Emulator) -> None:
    manifest = Batch(rows=people(12), mode=mode, segment_size=5).attempt()
    rows = manifest["results"]
    assert [row["id"] for row in rows] == list(range(12))
    assert set(rows[0]) == {"id", "Full Name", "Company", EMAIL, "_status", "_run_id", "_credits", "_error"}
    assert rows[3][EMAIL] == "person3@acme.com"
    assert statuses(manifest) == {"succeeded": 12}
    runs = {run["inputs"][FULL_NAME]: run for run in emulator.control.state()["runs"]}
    tells_credits = emulator.contract == V1_1_0
    for row in rows:
        run = runs[row["Full Name"]]
        if row["_run_id"] is not None or mode == "async":
            assert row["_run_id"] == run["run_id"]
        assert row["_credits"] == (run["credits_consumed"] if tells_credits else None)
    assert manifest["credits"] == (sum(run["credits_consumed"] for run in runs.values()) * tells_credits)
    assert manifest["runs_without_credits"] == (0 if tells_credits else 12)


@ONE_CONTRACT
@pytest.mark.parametrize("output_format", ["csv", "jsonl"])
@pytest.mark.parametrize(("suffix", "write"), [("csv", write_csv), ("jsonl", write_jsonl)])
def test_a_file_becomes_parts_in_the_order_of_its_rows(
    suffix: str, write: Any, output_format: str, emulator: Emulator, tmp_path: Path
) -> None:
    batch = Batch(
        rows_path=write(tmp_path / f"in.{suffix}", people(25)),
        output_path=f"file://{tmp_path}/out",
        output_format=output_format,
        segment_size=10,
    )
    manifest = batch.attempt()
    assert [part.rpartition(".")[2] for part in manifest["parts"]] == [output_format] * 3
    assert "results" not in manifest
    stored = json.loads(Path(manifest["manifest_path"].removeprefix("file://")).read_text())
    assert stored == json.loads(json.dumps(manifest))
    rows = written(manifest)
    as_read = str if "csv" in (suffix, output_format) else int
    assert [row["id"] for row in rows] == [as_read(number) for number in range(25)]
    assert {row["_status"] for row in rows} == {"succeeded"}
    assert rows[24][EMAIL] == "person24@acme.com"
    assert {Path(part).name for part in manifest["parts"]} | {f"{manifest['batch_id']}-manifest.json"} == {
        path.name for path in (tmp_path / "out").iterdir()
    }


@ONE_CONTRACT
def test_fields_are_mapped_to_inputs_and_duplicates_are_run_once(emulator: Emulator) -> None:
    rows = [{"who": name, "Full Name": "not this"} for name in ("Ann", "Bob", "Ann", "Cid", "Bob")]
    manifest = Batch(rows=rows, input_fields={"Full Name": "who"}, row_key="who", segment_size=2).attempt()
    assert statuses(manifest) == {"succeeded": 3, "duplicate": 2}
    assert [row["_status"] == "duplicate" for row in manifest["results"]] == [False, False, True, False, True]
    assert [row["who"] for row in manifest["results"]] == ["Ann", "Bob", "Ann", "Cid", "Bob"]
    assert sorted(body["inputs"][FULL_NAME] for body in posted_bodies(emulator)) == ["Ann", "Bob", "Cid"]


def test_no_rows_are_no_error(emulator: Emulator, tmp_path: Path) -> None:
    manifest = Batch(rows=[], output_path=f"file://{tmp_path}").attempt()
    assert (manifest["rows"], manifest["parts"], sum(manifest["counts"].values())) == (0, [], 0)
    assert posted_bodies(emulator) == []


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "more rows than XCom takes": ({"rows": people(1001)}, "1,001 rows are too many.*set output_path"),
    "a folder that cannot be": (
        {"rows": people(2), "output_path": "file:///dev/null/x"},
        "cannot be written",
    ),
    "a file that is not there": ({"rows_path": "file:///nowhere/rows.csv"}, "there is no file"),
    "a file of another kind": ({"rows_path": "file:///nowhere/rows.xlsx"}, "rows are read from"),
    "no list": ({"rows": "Jane"}, "rows must be a list of dicts, not str"),
    "an output that is none": ({"rows": people(1), "output_columns": ["Nonsense"]}, "Nonsense"),
    "a mapping to no input": ({"rows": people(1), "input_fields": {"Nonsense": "id"}}, "Nonsense"),
    "a key that is in no row": ({"rows": people(1), "row_key": "uid"}, "no row has the field 'uid'"),
    "no manifest to collect from": (
        {"collect_unknown_from": "file:///nowhere/manifest.json"},
        "there is no file",
    ),
    "no manifest": ({"retry_failed_from": "file:///nowhere/manifest.json"}, "there is no file"),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_wrong_is_said_before_anything_is_paid_for(
    arguments: dict[str, Any], message: str, emulator: Emulator
) -> None:
    batch = Batch(**arguments)
    with pytest.raises(api.InvalidRequestError, match=f"(?s){message}") as caught:
        batch.attempt()
    assert isinstance(caught.value, AirflowFailException)
    assert posted_bodies(emulator) == []
    assert batch.store.values == {}, "nothing that a corrected try would stumble over"


@ONE_CONTRACT
def test_rows_that_cannot_be_run_are_told_together(emulator: Emulator) -> None:
    rows = [*people(1), {"Company": "x"}, "y", {"Full Name": "Z", "Employees": "many"}]
    batch = Batch(rows=rows)
    wanted = "3 of 4 rows cannot be run: row 2: .*Full Name.*row 3: .*not str.*row 4: .*Employees"
    with pytest.raises(api.InvalidRequestError, match=wanted):
        batch.attempt()
    assert posted_bodies(emulator) == []
    assert batch.store.values == {}


@ONE_CONTRACT
@pytest.mark.parametrize(
    "argument", ["rows_path", "retry_failed_from", "collect_unknown_from", "output_path"]
)
def test_an_unknown_store_is_refused(argument: str, emulator: Emulator) -> None:
    rows = {"rows": people(1)} if argument == "output_path" else {}
    batch = Batch(**{"output_path": None, **rows, argument: "nobodys://bucket/a.csv"})
    with pytest.raises(api.InvalidRequestError, match=r"nobodys://bucket/a\.csv cannot be used"):
        batch.attempt()
    assert posted_bodies(emulator) == []


WRONG: dict[str, Any] = {
    "mode": "fast",
    "max_failed_rows": "many",
    "fail_when_incomplete": "no",
    "max_in_flight": 0,
    "run_timeout": -1,
    "batch_timeout": 0,
    "segment_size": 1001,
    "output_format": "xlsx",
    "miss_values": "none",
    "on_ambiguous_submit": "fail",
    "max_credits": -5,
}


def test_all_wrong_options_are_named_at_once_when_the_dag_is_parsed() -> None:
    with pytest.raises(api.InvalidRequestError) as caught:
        RunGridBatchOperator(task_id="enrich", grid_id="grid_001", **WRONG)
    for name in [*WRONG, "rows", "task 'enrich': "]:
        assert name in str(caught.value)


def test_a_cap_that_a_template_gives_is_checked_once_it_is_rendered(emulator: Emulator) -> None:
    batch = Batch(rows=people(1), max_credits="{{ params.cap }}")
    with pytest.raises(api.InvalidRequestError, match="max_credits must be a number"):
        batch.attempt()


@ONE_CONTRACT
def test_data_is_never_rendered(run_dag: RunDag, emulator: Emulator) -> None:
    dag = run_dag(FIXTURE_DAGS, "batch_templating")
    assert set(dag.states.values()) == {"success"}, dag.states
    hostile = "{{ ds }} {% for x in y %} {# note #} Smith"
    assert [row["Full Name"] for row in dag.xcom("from_xcom")["results"]] == [f"{hostile} 0", f"{hostile} 1"]
    assert [dag.xcom("mapped", index)["results"][0]["Full Name"] for index in range(2)] == [
        f"{hostile} 0",
        f"{hostile} 1",
    ]
    assert dag.xcom("from_params")["results"][0]["Full Name"] == "Jane Doe"


@ONE_CONTRACT
def test_the_progress_is_kept_for_people(emulator: Emulator) -> None:
    emulator.control.add_fault("run_fails", times=1)
    batch = Batch(rows=people(10), max_failed_rows=1)
    manifest = batch.attempt()
    progress = batch.store.get("bitscale_batch_progress")
    assert set(progress) == PROGRESS
    assert (progress["rows"], progress["settled"], progress["in_flight"]) == (10, 10, 0)
    assert progress["counts"] == {"succeeded": 9, "failed": 1}
    assert progress["credits_spent"] == manifest["credits"]


PROGRESS = {
    "rows", "settled", "counts", "in_flight", "credits_spent", "runs_without_credits", "credits_expected",
        "requests_per_second",
    "requests_left", "limit_per_second", "seconds_left", "stopped_by", "hindrance", "error",
}  # fmt: skip


class Figures(NoStatsLogger):
    """What Airflow's metrics come to."""

    counts: ClassVar[Counter[str]] = Counter()
    gauges: ClassVar[dict[str, float]] = {}

    @classmethod
    def incr(cls, stat: str, count: int = 1, rate: int = 1, *, tags: dict[str, str] | None = None) -> None:
        cls.counts[stat] += count

    @classmethod
    def gauge(
        cls,
        stat: str,
        value: float,
        rate: int = 1,
        delta: bool = False,
        *,
        tags: dict[str, str] | None = None,
    ) -> None:
        cls.gauges[stat] = value


@pytest.fixture
def figures() -> Iterator[type[Figures]]:
    Figures.counts.clear()
    Figures.gauges.clear()
    stats.initialize(factory=Figures, export_legacy_names=False)
    yield Figures
    stats.initialize(factory=NoStatsLogger, export_legacy_names=False)


@ONE_CONTRACT
def test_metrics_count_each_row_once_over_all_tries(
    emulator: Emulator, figures: type[Figures], tmp_path: Path
) -> None:
    emulator.control.add_fault("run_never_ends", times=1)
    batch = Batch(rows=people(10), segment_size=5, batch_timeout=3.0, output_path=f"file://{tmp_path}")
    with pytest.raises(api.RunTimedOutError):
        batch.attempt()
    [stuck] = [run for run in emulator.control.state()["runs"] if run["status"] == "running"]
    emulator.control.finish_run(stuck["run_id"])
    batch.attempt()
    # Those of a segment that is not finished are read, and counted, again.
    assert 10 <= figures.counts["bitscale.batch.rows_succeeded"] <= 14
    assert figures.gauges["bitscale.batch.in_flight"] == 0
    assert figures.counts["bitscale.batch.credits"] > 0
