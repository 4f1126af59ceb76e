"""The log of what was sent: real files, and real processes that are replaced while they send."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
import stat
import threading
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.batch.store import sent_log
from airflow_provider_bitscale.batch.store.segment_records import ANNOUNCED
from airflow_provider_bitscale.batch.store.sent_log import KEEP_SECONDS, SentLogs, TakenOverError
from airflow_provider_bitscale.batch.store.sent_rows import SentRows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "private"


@pytest.fixture
def logs(folder: Path) -> SentLogs:
    return SentLogs("b1", folder)


def entries(evidence: SentRows, rows: int) -> list[str | None]:
    return [evidence.entry(row, ANNOUNCED) for row in range(rows)]


def test_what_a_try_has_sent_is_read_by_the_next(logs: SentLogs) -> None:
    first = logs.begin("t1")
    for row in (0, 1, 2, 3):
        first.sending(row)
    first.accepted(0, "run_0")
    first.not_processed(1)
    first.answered(2)
    first.close()
    evidence = logs.take_over(["t1"])
    assert evidence.complete
    assert entries(evidence, 5) == ["run_0", None, ANNOUNCED, ANNOUNCED, None]
    assert entries(logs.take_over(["t1"]), 5) == entries(evidence, 5), "it may be read again"


def test_it_is_private_and_tells_nothing_but_rows_and_runs(logs: SentLogs, folder: Path) -> None:
    log = logs.begin("t1")
    log.sending(3)
    log.accepted(3, "run_3")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    [file] = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    machine, *lines = file.read_text().splitlines()
    assert machine.startswith("boot ")
    assert lines == ["sent 3", "accepted 3 run_3"]


@pytest.mark.parametrize("run_id", ["", "run 1", "run_1\nsent 5", "\n"])
def test_an_id_that_could_look_like_another_line_is_left_out(logs: SentLogs, run_id: str) -> None:
    log = logs.begin("t1")
    log.sending(0)
    log.accepted(0, run_id)
    log.close()
    evidence = logs.take_over(["t1"])
    assert evidence.complete
    assert entries(evidence, 6) == [ANNOUNCED, None, None, None, None, None]


def _links(folder: Path) -> None:
    target = folder.with_name("elsewhere")
    target.mkdir(0o700)
    folder.symlink_to(target)


FOLDERS: dict[str, Callable[[Path], None]] = {
    "a link": _links,
    "open to others": lambda folder: folder.mkdir(0o755),
    "a file": Path.touch,
}


@pytest.mark.parametrize("make", FOLDERS.values(), ids=FOLDERS.keys())
def test_a_folder_that_is_not_private_is_not_used(
    make: Callable[[Path], None], logs: SentLogs, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(folder)
    log = logs.begin("t1")
    log.sending(0)
    log.accepted(0, "run_0")
    assert caplog.text.count("There is no log of what is sent") == 1
    assert not logs.take_over(["t1"]).complete


def test_a_log_that_is_a_link_is_not_read(logs: SentLogs, folder: Path) -> None:
    logs.begin("t1").close()
    [file] = folder.iterdir()
    file.rename(file.with_suffix(".moved"))
    file.symlink_to(file.with_suffix(".moved"))
    assert not logs.take_over(["t1"]).complete


def test_where_a_log_is_missing_nothing_is_known_of_rows_it_may_have_told_of(logs: SentLogs) -> None:
    logs.begin("t1").close()
    assert logs.take_over([]).complete
    assert logs.take_over(["t1"]).complete
    assert not logs.take_over(["t1", "t2"]).complete
    assert not SentLogs("b2", logs._path).take_over(["t1"]).complete, "of another batch"


def test_after_the_machine_was_started_again_only_run_ids_count(
    logs: SentLogs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logs.begin("t1")
    log.sending(0)
    log.accepted(0, "run_0")
    log.close()
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("another")
    monkeypatch.setattr(sent_log, "_BOOT_ID", boot_id)
    assert entries(logs.take_over(["t1"]), 2) == ["run_0", ANNOUNCED]


def test_a_try_that_was_replaced_sends_nothing_more_and_tells_what_was_answered(logs: SentLogs) -> None:
    old = logs.begin("t1")
    old.sending(0)
    logs.take_over(["t1"], patience=0)
    for row in (1, 2):
        with pytest.raises(TakenOverError, match="another try"):
            old.sending(row)
    old.accepted(0, "run_0")
    assert logs.take_over(["t1"], patience=0).run_ids == {0: "run_0"}


def test_logs_are_removed_when_the_batch_is_collected_or_after_a_week(logs: SentLogs, folder: Path) -> None:
    for token in ("t1", "t2"):
        logs.begin(token).close()
    logs.remove(["t1", "t2", "t3"])
    assert list(folder.iterdir()) == []
    others = SentLogs("b2", folder)
    for token, age in (("old", KEEP_SECONDS + 60), ("young", KEEP_SECONDS - 60)):
        before = set(folder.iterdir())
        others.begin(token).close()
        [new] = set(folder.iterdir()) - before
        os.utime(new, (time.time() - age,) * 2)
    logs.begin("t4").close()
    assert not others.take_over(["old"]).complete
    assert others.take_over(["young"]).complete


def _on_a_full_disk(folder: Path, results: multiprocessing.SimpleQueue[object]) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    log = SentLogs("b1", folder).begin("t1")
    size = next(folder.iterdir()).stat().st_size
    # Room for one line, and a part of the next one.
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, size + 10))
    for row in range(3):
        log.sending(row)
    log.accepted(0, "run_0")
    results.put(list(folder.iterdir()))


def test_a_log_with_a_gap_is_removed_and_the_batch_goes_on(folder: Path, logs: SentLogs) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    process = context.Process(target=_on_a_full_disk, args=(folder, results))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert results.get() == []
    assert not logs.take_over(["t1"]).complete


def test_a_log_that_can_be_neither_written_nor_removed_stops_the_sending(
    logs: SentLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logs.begin("t1")

    def refuse(*arguments: object, **options: object) -> int:
        raise OSError("read-only")

    monkeypatch.setattr(os, "write", refuse)
    monkeypatch.setattr(os, "unlink", refuse)
    log.accepted(0, "run_0")
    for row in range(2):
        with pytest.raises(BitScaleError, match="neither written nor removed"):
            log.sending(row)


def _zombie(folder: Path, began: Event, sent: Path) -> None:
    """Sends row after row, and notes each request in a file of its own, until it is told to stop."""
    log = SentLogs("b1", folder).begin("t1")
    with sent.open("a") as requests:
        began.set()
        for row in range(1_000_000):
            try:
                log.sending(row)
            except TakenOverError:
                return
            requests.write(f"{row}\n")
            requests.flush()
            log.accepted(row, f"run_{row}")


@pytest.mark.parametrize("repetition", range(5))
def test_a_row_that_is_said_not_to_be_sent_is_not_sent_by_a_try_that_still_runs(
    repetition: int, folder: Path, logs: SentLogs, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    began, sent = context.Event(), tmp_path / "sent"
    process = context.Process(target=_zombie, args=(folder, began, sent))
    process.start()
    assert began.wait(30)
    time.sleep(random.uniform(0.0, 0.05))
    evidence = logs.take_over(["t1"], patience=0)
    process.join(30)
    assert process.exitcode == 0, "it was stopped"
    assert evidence.complete
    rows = [int(line) for line in sent.read_text().splitlines()]
    assert [row for row in rows if evidence.entry(row, ANNOUNCED) is None] == []


def _sends_one(folder: Path, began: Event, go_on: Event) -> None:
    log = SentLogs("b1", folder).begin("t1")
    log.sending(0)
    began.set()
    go_on.wait(30)
    log.accepted(0, "run_0")


@pytest.mark.parametrize("is_killed", [False, True])
def test_an_answer_that_a_replaced_try_still_waits_for_is_waited_for_while_it_lives(
    is_killed: bool, folder: Path, logs: SentLogs
) -> None:
    context = multiprocessing.get_context("spawn")
    began, go_on = context.Event(), context.Event()
    process = context.Process(target=_sends_one, args=(folder, began, go_on))
    process.start()
    assert began.wait(30)
    if is_killed:
        process.kill()
        process.join(30)
    else:
        # After the log was read for the first time.
        threading.Timer(0.5, go_on.set).start()
    assert entries(logs.take_over(["t1"], patience=20), 1) == [ANNOUNCED if is_killed else "run_0"]
    process.join(30)
