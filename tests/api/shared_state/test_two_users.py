"""Two users of one machine: no one reads or blocks the other's state."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_bitscale.api.limit.bookings import Book, Turn
from airflow_provider_bitscale.api.limit.slot_book import LAYOUT
from airflow_provider_bitscale.api.shared_state.file_backend import FileBackend
from airflow_provider_bitscale.api.shared_state.private_folder import CANDIDATES
from airflow_provider_bitscale.api.shared_state.shared_state import SharedState
from tests.support.forks import Fork, in_fork
from tests.support.processes import Account
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run processes as two users")

ALICE, BOB = Account(64001, 64001), Account(64002, 64002)
SLOW = Book(gap=300.0, behind=0.0)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that is to users what /tmp is to them."""
    folder = Path(tempfile.mkdtemp(prefix="bitscale-users-", dir="/tmp"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


def book(parent: Path, user: Account) -> Turn | None:
    """Book as a new process of that user does."""
    return in_fork(
        lambda: SharedState(FileBackend(str(parent))).ask(lambda backend: backend.apply("limit", SLOW)), user
    )


def books_alone(parent: Path, user: Account) -> None:
    first, second = book(parent, user), book(parent, user)
    assert first is not None
    assert second is not None
    assert first.granted == 1, "nobody else has booked in it"
    assert second.ticket == 1, "all processes of the user book in one"


def test_each_has_a_book_of_their_own(shared: Path) -> None:
    books_alone(shared, ALICE)
    books_alone(shared, BOB)
    books_alone(shared, Account(0, 0))


def test_no_one_reads_anothers(shared: Path) -> None:
    book(shared, ALICE)
    [file] = shared.glob("*/limit.*")

    def refused(question: Callable[[], object]) -> bool:
        try:
            question()
        except PermissionError:
            return True
        return False

    def tries() -> list[bool]:
        return [
            refused(lambda: os.listdir(file.parent)),
            refused(lambda: os.open(file, os.O_RDONLY)),
            refused(lambda: os.unlink(file)),
            refused(lambda: os.rename(file.parent, shared / "moved")),
        ]

    assert in_fork(tries, BOB) == [True] * 4


def name_of(user: Account, number: int = 1) -> str:
    return f"bitscale-{user.uid}" + (f"-{number}" if number > 1 else "")


def as_open_folder(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def as_link_to_a_folder(path: Path) -> None:
    target = path.with_name(f"{path.name} of somebody")
    as_open_folder(target)
    path.symlink_to(target)


def as_open_file(path: Path) -> None:
    path.touch()
    path.chmod(0o666)


def as_folder_with_a_link_in_it(path: Path) -> None:
    as_open_folder(path)
    (path / f"limit.{LAYOUT:08x}").symlink_to("nowhere")


def content(path: Path) -> list[str]:
    return os.listdir(path) if path.is_dir() else []


TRAPS = [as_open_folder, as_folder_with_a_link_in_it, as_link_to_a_folder, as_open_file]


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
def test_who_takes_the_name_of_anothers_folder_does_not_block_them(
    shared: Path, trap: Callable[[Path], None]
) -> None:
    trapped = shared / name_of(ALICE)
    in_fork(lambda: trap(trapped), BOB)
    before = content(trapped)
    books_alone(shared, ALICE)
    assert list((shared / name_of(ALICE, 2)).glob("limit.*"))
    assert content(trapped) == before, "nothing was written there, or removed"
    books_alone(shared, BOB)
    in_fork(lambda: trapped.rename(shared / "given up"), BOB)
    turn = book(shared, ALICE)
    assert turn is not None
    assert turn.ticket == 2, "the book stays where it is"


def test_who_takes_all_names_costs_others_the_sharing_alone(shared: Path) -> None:
    def take_all() -> None:
        for number in range(1, CANDIDATES + 1):
            (shared / name_of(ALICE, number)).mkdir()

    in_fork(take_all, BOB)
    assert book(shared, ALICE) is None
    books_alone(shared, BOB)


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
def test_a_folder_that_becomes_anothers_is_left(shared: Path, trap: Callable[[Path], None]) -> None:
    """A cleaner of temporary files removes it, and another user is faster."""
    folder, is_removed, is_taken = shared / name_of(ALICE), shared / "removed", shared / "taken"

    def books_on() -> list[int | None]:
        state = SharedState(FileBackend(str(shared)))
        first = state.ask(lambda backend: backend.apply("limit", SLOW))
        shutil.rmtree(folder)
        is_removed.touch()
        wait_until(is_taken.exists, "another user has the name", every=0.01)
        second = state.ask(lambda backend: backend.apply("limit", SLOW))
        return [turn and turn.granted for turn in (first, second)]

    with Fork(books_on, ALICE) as alice:
        wait_until(is_removed.exists, "the folder is removed", every=0.01)
        in_fork(lambda: trap(folder), BOB)
        before = content(folder)
        is_taken.touch()
        assert alice.result() == [1, 1]
    assert content(folder) == before, "nothing was written there, or removed"


def test_a_folder_of_one_user_is_away_for_another(shared: Path) -> None:
    own = shared / "own"
    books_alone(own, ALICE)
    assert book(own, BOB) is None
    third = book(own, ALICE)
    assert third is not None
    assert third.ticket == 2
