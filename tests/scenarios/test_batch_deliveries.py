"""A batch is told the ends of its runs: fewer requests, and no row is ambiguous that was delivered."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from airflow_provider_bitscale import api
from airflow_provider_bitscale.batch import inbox, submissions
from airflow_provider_bitscale.batch.plan import ambiguous, poll_schedule
from airflow_provider_bitscale.emulator import Emulator
from tests.support.batches import EMAIL, Batch, names_paid, people, statuses, written
from tests.support.clients import polls, posts
from tests.support.hooks import connect
from tests.support.receiver import URL, Receiver, receiving
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def told() -> Iterator[tuple[Emulator, Receiver]]:
    with (
        receiving() as (receiver, target),
        Emulator(run_seconds=(0.05, 0.4), webhook_target=target, webhook_backoff=0.2) as emulator,
    ):
        yield emulator, receiver


@pytest.fixture
def emulator(told: tuple[Emulator, Receiver], monkeypatch: pytest.MonkeyPatch) -> Emulator:
    emulator, _ = told
    emulator.control.reset()
    connect(monkeypatch, emulator)
    monkeypatch.setattr(inbox, "LISTEN_SECONDS", 0.1)
    return emulator


@pytest.fixture
def receiver(told: tuple[Emulator, Receiver], emulator: Emulator) -> Receiver:
    _, receiver = told
    receiver.away, receiver.received = False, 0
    return receiver


class ToldBatch(Batch):
    """A batch whose deliveries come."""

    def __init__(self, receiver: Receiver, **arguments: Any) -> None:
        super().__init__(**{"webhook_url": URL, **arguments})
        receiver.store = self.store


@pytest.mark.parametrize(("trust", "expected"), [(True, 0), (False, 1)])
def test_each_row_costs_its_submission_and_a_poll_unless_deliveries_are_trusted(
    emulator: Emulator, receiver: Receiver, trust: bool, expected: int
) -> None:
    manifest = ToldBatch(receiver, rows=people(300), trust_webhook=trust).attempt()
    assert statuses(manifest) == {"succeeded": 300}
    assert [row["id"] for row in written(manifest)] == list(range(300))
    assert all(row[EMAIL] for row in written(manifest))
    assert manifest["credits"] == sum(run["credits_consumed"] for run in emulator.control.state()["runs"])
    assert len(posts(emulator)) == 300
    assert len(polls(emulator)) == expected * 300


def test_a_run_that_failed_is_told_too(emulator: Emulator, receiver: Receiver) -> None:
    emulator.control.add_fault("run_fails", message="no such company", times=2)
    batch = ToldBatch(receiver, rows=people(20), trust_webhook=True, max_failed_rows=2)
    manifest = batch.attempt()
    assert statuses(manifest) == {"succeeded": 18, "failed": 2}
    assert {row["_error"] for row in written(manifest)} == {None, "RUN_FAILED: no such company"}
    assert polls(emulator) == []


@pytest.mark.parametrize("trust", [True, False])
def test_a_delivery_may_come_before_the_answer(emulator: Emulator, receiver: Receiver, trust: bool) -> None:
    emulator.control.add_fault("latency", seconds=1.5, on="run_grid")
    manifest = ToldBatch(receiver, rows=people(10), trust_webhook=trust).attempt()
    assert statuses(manifest) == {"succeeded": 10}
    assert len(polls(emulator)) == (0 if trust else 10)


@pytest.mark.parametrize("trust", [True, False])
@pytest.mark.parametrize("late", [0.0, 0.5])
@pytest.mark.parametrize(
    "fault", [{"kind": "lost_answer"}, {"kind": "server_error_after_work", "status": 502}]
)
def test_a_lost_answer_is_made_good_by_the_delivery(
    emulator: Emulator, receiver: Receiver, fault: dict[str, Any], late: float, trust: bool
) -> None:
    emulator.control.add_fault(on="run_grid", times=3, **fault)
    if late:
        emulator.control.add_fault("latency", on="run_grid", times=3, seconds=late)
    manifest = ToldBatch(receiver, rows=people(12), trust_webhook=trust).attempt()
    assert statuses(manifest) == {"succeeded": 12}
    assert set(names_paid(emulator).values()) == {1}


def test_a_request_that_was_lost_is_unknown_in_the_end(
    emulator: Emulator, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ambiguous, "LEAST_PATIENCE", 1.0)
    emulator.control.add_fault("lost_request", on="run_grid", times=2)
    # Ambiguous rows hold up no others, and what they cost is not known.
    batch = ToldBatch(receiver, rows=people(12), max_in_flight=1, max_credits=10_000)
    manifest = batch.incomplete()
    assert statuses(manifest) == {"succeeded": 10, "unknown": 2}
    assert "no delivery came" in next(row["_error"] for row in written(manifest) if row["_error"])
    assert manifest["runs_without_credits"] == 2


def test_deliveries_that_do_not_come_cost_latency_alone(
    emulator: Emulator, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll_schedule, "SELDOM_SECONDS", 1.0)
    monkeypatch.setattr(poll_schedule, "SOON_SECONDS", 1.0)
    receiver.away = True
    manifest = ToldBatch(receiver, rows=people(60), trust_webhook=True, max_in_flight=30).attempt()
    assert statuses(manifest) == {"succeeded": 60}
    assert manifest["seconds"] < 30, "a minute, if it waited for them"


@pytest.mark.parametrize("policy", ["park", "resubmit"])
def test_a_killed_worker_leaves_no_paid_row_ambiguous(
    emulator: Emulator, receiver: Receiver, policy: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ambiguous, "LEAST_PATIENCE", 1.0)
    # The ids of the first runs are lost with the process.
    batch = ToldBatch(receiver, rows=people(40), segment_size=20, on_ambiguous_submit=policy)
    batch.crash(4, keeps_last=False)
    batch.move(monkeypatch, tmp_path / "elsewhere")
    without_id = batch.entries.count("")
    paid = sum(names_paid(emulator).values())
    assert without_id >= paid > 0
    deadline = time.monotonic() + 10
    while receiver.received < paid and time.monotonic() < deadline:
        time.sleep(0.05)
    batch.arguments["fail_when_incomplete"] = False
    manifest = batch.attempt()
    assert set(names_paid(emulator).values()) == {1}
    unknown = {row["Full Name"] for row in written(manifest) if row["_status"] == "unknown"}
    assert unknown == {row["Full Name"] for row in people(40)} - names_paid(emulator).keys()
    assert len(unknown) == (without_id - paid if policy == "park" else 0)


def test_a_row_to_be_submitted_again_is_not_once_its_delivery_has_come(
    emulator: Emulator, receiver: Receiver
) -> None:
    emulator.control.add_fault("lost_answer", on="run_grid", times=2)
    # One run after the other: those to be submitted again come last.
    batch = ToldBatch(receiver, rows=people(8), max_in_flight=1, on_ambiguous_submit="resubmit")
    manifest = batch.attempt()
    assert statuses(manifest) == {"succeeded": 8}
    assert set(names_paid(emulator).values()) == {1}
    assert manifest["runs_without_credits"] == 0


@pytest.mark.parametrize("trust", [True, False])
def test_a_row_whose_run_is_known_takes_no_other_run_for_it(
    emulator: Emulator, receiver: Receiver, trust: bool, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.control.add_fault("run_never_ends", times=1)
    batch = ToldBatch(receiver, rows=people(1), trust_webhook=trust, batch_timeout=30)
    with ThreadPoolExecutor(1) as pool:
        manifest = pool.submit(batch.attempt)
        wait_until(lambda: emulator.control.state()["runs"], "a run")
        [run] = emulator.control.state()["runs"]
        [post] = posts(emulator)
        # Whoever has the secret and sees the URL can sign this, as BitScale may confuse two runs.
        other = {**run, "run_id": "run_of_another_row", "status": "completed", "outputs": {EMAIL: "forged"}}
        wait_until(lambda: run["run_id"] in str(receiver.store.values), "an accepted run")
        receiver.deliver(json.loads(post["body"])["webhook_url"], other)
        wait_until(lambda: "it is ignored" in caplog.text, "a delivery that is ignored")
        emulator.control.finish_run(run["run_id"])
        [row] = written(manifest.result())
    assert (row["_status"], row["_run_id"]) == ("succeeded", run["run_id"])
    assert row[EMAIL] != "forged"
    assert "A delivery names run run_of_another_row for row 1, which is run" in caplog.text


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Submit again at once, before the delivery of what was lost comes."""
    monkeypatch.setattr(submissions, "backoff", lambda failures: 0.0)


def test_a_delivery_that_comes_before_a_row_is_submitted_again_saves_the_second_run(
    emulator: Emulator, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submissions, "backoff", lambda failures: 20.0)
    emulator.control.add_fault("lost_answer", on="run_grid", times=1)
    manifest = ToldBatch(receiver, rows=people(1), on_ambiguous_submit="resubmit").attempt()
    assert statuses(manifest) == {"succeeded": 1}
    assert sum(names_paid(emulator).values()) == 1


@pytest.mark.usefixtures("no_pause")
def test_a_row_that_was_paid_for_twice_is_named(
    emulator: Emulator, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.control.add_fault("lost_answer", on="run_grid", times=1)
    manifest = ToldBatch(receiver, rows=people(1), on_ambiguous_submit="resubmit").attempt()
    assert statuses(manifest) == {"succeeded": 1}
    assert sum(names_paid(emulator).values()) == 2
    assert "Row 1 is submitted again, and may be paid for twice" in caplog.text


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("trust", [True, False])
def test_of_a_row_that_was_paid_for_twice_the_run_counts_that_completes_first(
    emulator: Emulator, receiver: Receiver, trust: bool, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.control.add_fault("lost_answer", on="run_grid", times=1)
    emulator.control.add_fault("run_never_ends", after=1)
    batch = ToldBatch(
        receiver, rows=people(1), on_ambiguous_submit="resubmit", trust_webhook=trust, batch_timeout=10
    )
    [row] = written(batch.attempt())
    first, second = emulator.control.state()["runs"]
    assert (row["_status"], row["_run_id"]) == ("succeeded", first["run_id"])
    assert f"run {first['run_id']} has ended, too" in caplog.text
    assert second["status"] == "running"


def test_a_run_that_completes_while_the_other_of_its_row_is_polled_counts(
    emulator: Emulator, receiver: Receiver
) -> None:
    emulator.control.add_fault("lost_answer", on="run_grid", times=1)
    emulator.control.add_fault("run_never_ends", times=1)
    emulator.control.add_fault("run_fails", after=1)
    emulator.control.add_fault("latency", on="get_run", seconds=2.0, times=1)
    batch = ToldBatch(receiver, rows=people(1), on_ambiguous_submit="resubmit", batch_timeout=30)
    with ThreadPoolExecutor(1) as pool:
        manifest = pool.submit(batch.attempt)
        wait_until(lambda: any(run["polls"] for run in emulator.control.state()["runs"]), "a poll")
        first, second = emulator.control.state()["runs"]
        emulator.control.finish_run(first["run_id"])
        [row] = written(manifest.result())
    assert (row["_status"], row["_run_id"]) == ("succeeded", first["run_id"])
    assert second["status"] == "failed"


def test_a_deadline_leaves_ambiguous_rows_to_a_retry(
    emulator: Emulator, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.control.add_fault("lost_request", on="run_grid", times=1)
    batch = ToldBatch(receiver, rows=people(5), batch_timeout=3.0)
    started = time.monotonic()
    with pytest.raises(api.RunTimedOutError, match="1 rows were left"):
        batch.attempt()
    assert time.monotonic() - started < 20
    monkeypatch.setattr(ambiguous, "LEAST_PATIENCE", 1.0)
    batch.arguments["batch_timeout"] = None
    assert statuses(batch.incomplete()) == {"succeeded": 4, "unknown": 1}
    assert len(posts(emulator)) == 5


def test_a_budget_counts_ambiguous_rows_and_goes_on(emulator: Emulator, receiver: Receiver) -> None:
    emulator.control.add_fault("lost_answer", on="run_grid", times=1)
    emulator.control.add_fault("latency", on="run_grid", times=1, seconds=0.5)
    manifest = ToldBatch(receiver, rows=people(30), max_credits=100, trust_webhook=True).attempt()
    paid = sum(run["credits_consumed"] for run in emulator.control.state()["runs"])
    assert manifest["credits"] == paid <= 100
    assert statuses(manifest)["succeeded"] == sum(names_paid(emulator).values())


@pytest.mark.parametrize("url", ["https://elsewhere.example.com/hook", URL + "_of_another"])
def test_a_url_of_somebody_else_is_passed_on_and_nothing_is_awaited(
    emulator: Emulator, receiver: Receiver, url: str
) -> None:
    receiver.away = True
    manifest = ToldBatch(receiver, rows=people(5), webhook_url=url, trust_webhook=True).attempt()
    assert statuses(manifest) == {"succeeded": 5}
    assert {json.loads(post["body"])["webhook_url"] for post in posts(emulator)} == {url}
    assert len(polls(emulator)) >= 5


def test_without_a_secret_nothing_is_awaited_and_the_log_says_so(
    emulator: Emulator, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connect(monkeypatch, emulator, webhook_secret="")
    receiver.away = True
    assert statuses(ToldBatch(receiver, rows=people(5)).attempt()) == {"succeeded": 5}
    assert {json.loads(post["body"])["webhook_url"] for post in posts(emulator)} == {URL}
    assert "has no webhook_secret" in caplog.text


def test_each_row_has_a_token_of_its_own(emulator: Emulator, receiver: Receiver) -> None:
    ToldBatch(receiver, rows=people(30)).attempt()
    urls = [json.loads(post["body"])["webhook_url"] for post in posts(emulator)]
    assert len(set(urls)) == 30
    assert all(url.startswith(f"{URL}?bitscale_token=") for url in urls)


def test_read_pages_do_not_stay(emulator: Emulator, receiver: Receiver) -> None:
    batch = ToldBatch(receiver, rows=people(300), trust_webhook=True)
    batch.attempt()
    pages = [key for key in batch.store.values if key.startswith("bitscale_mailbox")]
    assert len(pages) <= 3, "the number of the last page, and the last page itself"


def test_a_store_that_is_away_for_deliveries_costs_latency_alone(
    emulator: Emulator, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll_schedule, "SELDOM_SECONDS", 1.0)
    batch = ToldBatch(receiver, rows=people(30))
    get = batch.store.get

    def get_no_deliveries(key: str, default: Any = None) -> Any:
        if "mailbox" in key and posts(emulator):
            raise ConnectionError("the API server is away")
        return get(key, default)

    monkeypatch.setattr(batch.store, "get", get_no_deliveries)
    assert statuses(batch.attempt()) == {"succeeded": 30}


def test_nothing_is_submitted_before_the_deliveries_of_an_earlier_try_are_known(
    emulator: Emulator, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = ToldBatch(receiver, rows=people(30), on_ambiguous_submit="resubmit")
    batch.crash(4, keeps_last=False)
    before = len(posts(emulator))
    with monkeypatch.context() as away:
        get = batch.store.get
        away.setattr(batch.store, "get", lambda key, default=None: 1 / 0 if "mailbox" in key else get(key))
        with pytest.raises(ZeroDivisionError):
            batch.attempt()
    assert len(posts(emulator)) == before
    assert statuses(batch.attempt()) == {"succeeded": 30}


def test_todays_api_has_no_webhooks(emulators: dict[str, Emulator], monkeypatch: pytest.MonkeyPatch) -> None:
    today = emulators["workspace-key"]
    today.control.reset()
    connect(monkeypatch, today, webhook_secret="a secret of no connection")
    with pytest.raises(AirflowException) as caught:
        Batch(rows=people(5), webhook_url=URL).attempt()
    assert isinstance(caught.value, api.UnsupportedError)
    assert posts(today) == []


def test_synchronous_runs_have_no_webhooks() -> None:
    with pytest.raises(api.InvalidRequestError, match="webhook_url"):
        Batch(rows=[], webhook_url=URL, mode="sync").attempt()
