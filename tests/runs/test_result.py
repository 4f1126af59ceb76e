"""What a task hands on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bitscale.api.errors import RunFailedError, UnreadableAcceptanceError
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.runs.result import completed_sync_run, run_result
from tests.support import documents as doc


def result(payload: dict[str, Any], names: dict[str, str] | None = None) -> dict[str, Any]:
    run = parse_run(payload)
    return run_result(run, grid_id="grid_001", run_id=run.run_id, column_names=names or {})


def test_the_documented_run() -> None:
    names = {
        doc.FULL_NAME: "Full Name",
        doc.COMPANY: "Company",
        doc.EMAIL: "Enriched Email",
        "c-other": "Other",
    }
    assert result(doc.POLLED_RUN, names) == {
        "run_id": "run_xyz789",
        "grid_id": "grid_001",
        "status": "completed",
        "outputs": {
            "Full Name": "Jane Doe",
            "Company": "Acme Corp",
            "Enriched Email": "jane.doe@acmecorp.com",
            doc.LINKEDIN: "https://linkedin.com/in/janedoe",
        },
        "filled_columns": 4,
        "missed_columns": 0,
        "credits": {"consumed": 12, "remaining": 65788},
        "started_at": "2024-04-15T12:00:00+00:00",
        "completed_at": "2024-04-15T12:00:04+00:00",
    }


def test_outputs_under_the_ids_of_cells_are_those_of_the_columns_that_they_name() -> None:
    names = {"c-mail": "Email", "c-site": "Site", "c-name": "Name"}
    cells = {"cell_1": "x", "cell_2": "y", "cell_3": "z", "c-name": "n"}
    told = {"cell_1": "Email", "cell_2": "Other", "cell_3": "Name", "c-name": "Mail"}
    payload = {**doc.POLLED_RUN, "outputs": cells, "output_names": told}
    assert result(payload, names)["outputs"] == {"Email": "x", "cell_2": "y", "cell_3": "z", "Name": "n"}


@pytest.mark.parametrize(
    "payload",
    [
        doc.SYNC_RUN,
        doc.POLLED_RUN,
        doc.WEBHOOK_RUN,
        {"status": "completed"},
        {"status": "completed", "outputs": None},
    ],
)
def test_every_path_gives_the_same_keys_and_json(payload: dict[str, Any]) -> None:
    found = result(payload)
    assert list(found) == [
        "run_id",
        "grid_id",
        "status",
        "outputs",
        "filled_columns",
        "missed_columns",
        "credits",
        "started_at",
        "completed_at",
    ]
    assert json.loads(json.dumps(found)) == found
    assert isinstance(found["outputs"], dict)


def test_what_the_answer_does_not_have_is_none() -> None:
    found = result({"status": "completed", "credits": {"consumed": 3}})
    assert found["credits"] == {"consumed": 3, "remaining": None}
    assert (found["run_id"], found["started_at"], found["outputs"]) == (None, None, {})
    assert result({"status": "completed"})["credits"] is None


@pytest.mark.parametrize("value", [None, "", 0, False, ["a"], {"b": None}, "{{ ds }}"])
def test_values_are_handed_on_as_they_are(value: Any) -> None:
    assert result({"status": "completed", "outputs": {"c": value}})["outputs"] == {"c": value}


OUTPUTS = {"name": "Jane", "email": " No email found ", "site": None, "size": 0, "about": " ", "tags": ["a"]}


@pytest.mark.parametrize(
    ("miss_values", "email", "filled", "missed"),
    [
        ((), " No email found ", 4, 2),
        (["No email found"], None, 3, 3),
        ({"no email found"}, " No email found ", 4, 2),
    ],
)
def test_listed_texts_are_nothing_found(
    miss_values: Any, email: str | None, filled: int, missed: int
) -> None:
    run = parse_run({"status": "completed", "outputs": OUTPUTS})
    found = run_result(run, grid_id="g", run_id="r", column_names={}, miss_values=miss_values)
    assert found["outputs"] == {**OUTPUTS, "email": email}
    assert (found["filled_columns"], found["missed_columns"]) == (filled, missed)


def test_columns_that_echo_an_input_are_neither_filled_nor_missed() -> None:
    run = parse_run({"status": "completed", "outputs": OUTPUTS})
    found = run_result(run, grid_id="g", run_id="r", column_names={}, input_columns=["name", "site"])
    assert (found["outputs"], found["filled_columns"], found["missed_columns"]) == (OUTPUTS, 3, 1)


# What a synchronous request may be answered, without a run id; and what is then raised.
SYNC_ANSWERS: dict[str, tuple[dict[str, Any], type[Exception] | None]] = {
    "completed": ({"status": "completed", "outputs": {"c": 1}}, None),
    "completed, nothing found": ({"status": "completed", "outputs": {}}, None),
    "failed": ({"status": "failed", "error": "oops"}, RunFailedError),
    "running": ({"status": "running"}, UnreadableAcceptanceError),
    "running, some outputs": ({"status": "running", "outputs": {"c": 1}}, UnreadableAcceptanceError),
    "unknown status": ({"status": "concluded"}, UnreadableAcceptanceError),
}


@pytest.mark.parametrize(("payload", "kind"), SYNC_ANSWERS.values(), ids=SYNC_ANSWERS)
def test_what_a_synchronous_answer_comes_to(payload: dict[str, Any], kind: type[Exception] | None) -> None:
    run = parse_run(payload)
    if kind is None:
        assert completed_sync_run(run, "grid_001") is run
    else:
        with pytest.raises(kind):
            completed_sync_run(run, "grid_001")
