"""The world by itself: statuses by time, credits, determinism. Times are plain numbers."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from airflow_provider_bitscale.emulator.contracts.v1_1_0 import CONTRACT, poll_answer, sync_answer
from airflow_provider_bitscale.emulator.errors import ApiError
from airflow_provider_bitscale.emulator.runs import Run, RunScript, timestamp
from airflow_provider_bitscale.emulator.seed import (
    COMPANY,
    ENRICHED_EMAIL,
    FULL_NAME,
    GRID_ID,
    LABEL,
    LINKEDIN_URL,
    WORKSPACE_ID,
)
from airflow_provider_bitscale.emulator.settings import Settings
from airflow_provider_bitscale.emulator.state import World
from airflow_provider_bitscale.emulator.validation import ValidRunRequest
from tests.emulator.conftest import JANE

START = 1_713_182_400.0  # 2024-04-15T12:00:00Z


def world(*, blank_misses: bool = False, **changed: Any) -> World:
    settings = Settings(**{"seed": 0, "run_seconds": (10.0, 10.0), **changed})
    return World(settings, partial(CONTRACT.run_id, settings.seed or 0), blank_misses=blank_misses)


def accept(
    world: World,
    now: float = START,
    inputs: dict[str, Any] | None = None,
    script: RunScript | None = None,
    output_columns: tuple[str, ...] | None = None,
) -> Run:
    request = ValidRunRequest("async", JANE if inputs is None else inputs, output_columns, None)
    return world.accept(world.grids[GRID_ID], request, now, lambda: script or RunScript())


@pytest.mark.parametrize(
    ("seconds", "status", "fields"),
    [
        (0, "queued", []),
        (1.9, "queued", []),
        (2.1, "running", ["started_at"]),
        (9.9, "running", ["started_at"]),
        (10, "completed", ["outputs", "credits", "started_at", "completed_at"]),
        (9_999, "completed", ["outputs", "credits", "started_at", "completed_at"]),
    ],
)
def test_a_poll_answer_grows_with_time(seconds: float, status: str, fields: list[str]) -> None:
    answer = poll_answer(accept(world()), START + seconds)
    assert list(answer) == ["run_id", "status", *fields]
    assert answer["status"] == status


def test_a_failed_run_tells_why_and_nothing_else() -> None:
    run = accept(world(), script=RunScript(failure="the page was gone"))
    assert poll_answer(run, START + 5)["status"] == "running"
    answer = poll_answer(run, START + 10)
    assert answer == {
        "run_id": run.run_id,
        "status": "failed",
        "error": {"code": "RUN_FAILED", "message": "the page was gone"},
        "started_at": "2024-04-15T12:00:02Z",
        "completed_at": "2024-04-15T12:00:10Z",
    }


def test_seed_zero_gives_the_example_of_the_document() -> None:
    run = accept(world(), output_columns=(FULL_NAME, COMPANY, ENRICHED_EMAIL, LINKEDIN_URL))
    assert sync_answer(run, START + 10)["outputs"] == {
        FULL_NAME: "Jane Doe",
        COMPANY: "Acme Corp",
        ENRICHED_EMAIL: "jane.doe@acmecorp.com",
        LINKEDIN_URL: "https://linkedin.com/in/janedoe",
    }
    assert sync_answer(run, START + 10)["credits"] == {"consumed": 12, "remaining": 65_788}


def test_outputs_are_all_columns_or_just_those_asked_for() -> None:
    a_world = world()
    columns = [column.id for column in a_world.grids[GRID_ID].columns]
    assert list(accept(a_world).outputs) == columns
    assert list(accept(a_world, output_columns=(LINKEDIN_URL, FULL_NAME)).outputs) == [
        LINKEDIN_URL,
        FULL_NAME,
    ]
    assert accept(a_world, output_columns=()).outputs == {}


def test_the_cost_is_taken_at_acceptance() -> None:
    a_world = world()
    cost = accept(a_world).cost
    assert a_world.credits(WORKSPACE_ID, START) == {
        "total": 100_000,
        "used": 34_200 + cost,
        "remaining": 65_800 - cost,
    }


@pytest.mark.parametrize(("credits", "accepted"), [(12, True), (11, False), (0, False)])
def test_a_run_that_costs_more_than_is_left_is_refused_and_changes_nothing(
    credits: int, accepted: bool
) -> None:
    a_world = world(credits=credits)
    if accepted:
        accept(a_world)
        return
    with pytest.raises(ApiError) as refusal:
        accept(a_world)
    assert (refusal.value.status, refusal.value.code) == (422, "INSUFFICIENT_CREDITS")
    assert a_world.credits(WORKSPACE_ID, START)["remaining"] == credits
    assert a_world.runs == {}


def test_credits_never_go_below_zero_however_many_runs_are_in_flight() -> None:
    a_world = world(credits=100)
    accepted = 0
    for _ in range(50):
        try:
            accept(a_world)
        except ApiError:
            continue
        accepted += 1
        assert a_world.credits(WORKSPACE_ID, START)["remaining"] >= 0
    assert accepted == 100 // 12


def test_a_failed_run_gives_its_credits_back_once_and_only_when_it_fails() -> None:
    a_world = world()
    run = accept(a_world, script=RunScript(failure="no"))
    assert a_world.credits(WORKSPACE_ID, START + 9.9)["remaining"] == 65_800 - run.cost
    assert a_world.credits(WORKSPACE_ID, START + 10)["remaining"] == 65_800
    assert a_world.credits(WORKSPACE_ID, START + 99)["remaining"] == 65_800
    assert run.record(START + 10)["credits_consumed"] == 0


@pytest.mark.parametrize(
    ("script", "finished_as", "left"),
    [
        (RunScript(endless=True), "completed", 65_788),
        (RunScript(endless=True), "failed", 65_800),
        (RunScript(failure="no"), "completed", 65_788),
        (RunScript(failure="no"), "failed", 65_800),
        (RunScript(), "failed", 65_800),
    ],
)
def test_a_run_ended_early_settles_as_it_was_ended(script: RunScript, finished_as: str, left: int) -> None:
    a_world = world()
    run = accept(a_world, script=script)
    a_world.finish(run.run_id, finished_as, START + 1)
    assert run.status(START + 1) == finished_as
    assert poll_answer(run, START + 1)["completed_at"] == timestamp(START + 1)
    assert a_world.credits(WORKSPACE_ID, START + 1)["remaining"] == left
    assert a_world.credits(WORKSPACE_ID, START + 99)["remaining"] == left


def test_an_endless_run_stays_running() -> None:
    assert accept(world(), script=RunScript(endless=True)).status(START + 10**9) == "running"


def test_a_run_that_is_over_cannot_be_ended_again() -> None:
    a_world = world()
    run = accept(a_world)
    with pytest.raises(ValueError, match="already completed"):
        a_world.finish(run.run_id, "failed", START + 10)
    with pytest.raises(ValueError, match="must be completed or failed"):
        a_world.finish(run.run_id, "running", START)


def test_the_quota_of_runs_is_refused_for_good() -> None:
    a_world = world(run_limit=1)
    accept(a_world)
    with pytest.raises(ApiError) as refusal:
        accept(a_world, START + 10**6)
    assert (refusal.value.status, refusal.value.code) == (403, "RUN_LIMIT_EXCEEDED")


def test_a_refused_run_draws_no_fate() -> None:
    a_world = world(credits=0)
    with pytest.raises(ApiError):
        a_world.accept(
            a_world.grids[GRID_ID],
            ValidRunRequest("async", JANE, None, None),
            START,
            lambda: pytest.fail("a script was drawn"),
        )


@pytest.mark.parametrize(("remaining", "total"), [(0, 100_000), (65_800, 100_000), (250_000, 250_000)])
def test_set_credits_keeps_the_sum_right(remaining: int, total: int) -> None:
    a_world = world()
    a_world.set_credits(WORKSPACE_ID, remaining)
    assert a_world.credits(WORKSPACE_ID, START) == {
        "total": total,
        "used": total - remaining,
        "remaining": remaining,
    }


def test_the_order_of_runs_changes_neither_outputs_nor_costs() -> None:
    rows = [{FULL_NAME: f"Person {number}"} for number in range(20)]
    one, other = world(), world()
    forth = {row[FULL_NAME]: accept(one, inputs=row) for row in rows}
    back = {row[FULL_NAME]: accept(other, inputs=row) for row in reversed(rows)}
    for name, run in forth.items():
        assert (run.outputs, run.cost) == (back[name].outputs, back[name].cost)
    assert len({run.cost for run in forth.values()}) > 1


def test_the_seed_changes_run_ids_and_durations_and_the_same_seed_does_not() -> None:
    def trace(seed: int) -> list[tuple[str, float | None]]:
        a_world = world(seed=seed, run_seconds=(1.0, 5.0))
        return [(run.run_id, run.ends_at) for run in (accept(a_world), accept(a_world))]

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)
    assert len({run_id for run_id, _ in trace(1)}) == 2
    assert all(START + 1 <= (ends_at or 0) <= START + 5 for _, ends_at in trace(1))


def durations(a_world: World) -> list[float]:
    return [(accept(a_world).ends_at or 0) - START for _ in range(2_000)]


@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
def test_a_share_of_runs_is_slow(share: float) -> None:
    settings: dict[str, Any] = {"run_seconds": (2.0, 10.0), "slow_runs": (share, 60.0)}
    seconds = durations(world(**settings))
    assert seconds == durations(world(**settings))
    slow = seconds.count(60.0)
    assert slow == pytest.approx(2_000 * share, rel=0.25)
    assert sum(2 <= value <= 10 for value in seconds) == 2_000 - slow
    assert (seconds != durations(world(**settings, seed=1))) == (share < 1)


def test_timestamps_are_whole_seconds_of_utc() -> None:
    assert timestamp(START + 4.9) == "2024-04-15T12:00:04Z"


def misses(a_world: World, rows: list[dict[str, Any]]) -> list[set[str]]:
    """The columns of each row that answer that nothing was found."""
    texts = {"No email found", "No profile found"}
    runs = [accept(a_world, inputs=row) for row in rows]
    return [{column for column, value in run.outputs.items() if value in texts} for run in runs]


@pytest.mark.parametrize(("rate", "least", "most"), [(0.0, 0, 0), (0.3, 90, 150), (1.0, 400, 400)])
def test_the_miss_rate_is_drawn_by_row_and_column(rate: float, least: int, most: int) -> None:
    rows = [{FULL_NAME: f"Person {number}"} for number in range(200)]
    missed = misses(world(miss_rate=rate), rows)
    assert missed == misses(world(miss_rate=rate), rows)
    assert least <= sum(map(len, missed)) <= most
    if 0 < rate < 1:
        assert {ENRICHED_EMAIL} in missed
        assert {LINKEDIN_URL} in missed
        assert missed != misses(world(miss_rate=rate, seed=1), rows)


@pytest.mark.parametrize(
    ("inputs", "missed"),
    [
        ({}, {ENRICHED_EMAIL, LINKEDIN_URL}),
        ({FULL_NAME: " ", COMPANY: ""}, {ENRICHED_EMAIL, LINKEDIN_URL}),
        ({COMPANY: "Acme"}, {LINKEDIN_URL}),
        ({FULL_NAME: "Jane"}, set()),
    ],
)
def test_an_enrichment_of_blanks_misses_where_the_contract_says_so(
    inputs: dict[str, Any], missed: set[str]
) -> None:
    assert misses(world(blank_misses=True), [inputs]) == [missed]
    assert misses(world(), [inputs]) == [set()]
    assert accept(world(blank_misses=True, miss_rate=1.0), inputs=inputs).outputs[LABEL] == " | ".join(
        str(value) for value in inputs.values() if value
    )
