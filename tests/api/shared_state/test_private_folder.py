"""The private folder, whatever others have put in its place: the same for all processes of a user."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from airflow_provider_bitscale.api.shared_state import private_folder as module
from airflow_provider_bitscale.api.shared_state.backend import UnavailableError
from airflow_provider_bitscale.api.shared_state.private_folder import CANDIDATES, private_folder


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return tmp_path / f"bitscale-{os.geteuid()}"


def test_it_is_made_and_found_again(tmp_path: Path, first: Path) -> None:
    assert private_folder(str(tmp_path)) == str(first)
    assert private_folder(str(tmp_path)) == str(first)
    assert [path.name for path in tmp_path.iterdir()] == [first.name]
    assert stat.S_IMODE(first.stat().st_mode) == 0o700


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_it_is_private_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        folder = private_folder(str(tmp_path))
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


def test_without_a_parent_it_is_among_the_temporary_files(
    tmp_path: Path, first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "gettempdir", lambda: str(tmp_path))
    assert private_folder(None) == str(first)


def test_a_parent_is_made_with_those_above_it(tmp_path: Path) -> None:
    folder = Path(private_folder(str(tmp_path / "var" / "bitscale")))
    assert folder.parent == tmp_path / "var" / "bitscale"
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


def test_a_parent_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    private_folder(str(tmp_path))
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777


@pytest.mark.parametrize("mode", [0o777, 0o750, 0o500])
def test_one_of_ours_is_made_private(tmp_path: Path, first: Path, mode: int) -> None:
    first.mkdir()
    first.chmod(mode)
    assert private_folder(str(tmp_path)) == str(first)
    assert stat.S_IMODE(first.stat().st_mode) == 0o700


def test_what_is_no_folder_is_left_alone_for_the_next_name(tmp_path: Path, first: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(0o755)
    first.symlink_to(elsewhere)
    (tmp_path / f"{first.name}-2").touch()
    assert private_folder(str(tmp_path)) == f"{first}-3"
    assert first.is_symlink()
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755


def test_one_that_is_there_counts_though_a_better_name_is_free_by_now(tmp_path: Path, first: Path) -> None:
    first.touch()
    assert private_folder(str(tmp_path)) == f"{first}-2"
    first.unlink()
    assert private_folder(str(tmp_path)) == f"{first}-2"


def test_names_are_not_tried_for_ever(tmp_path: Path, first: Path) -> None:
    for number in range(1, CANDIDATES + 1):
        (tmp_path / (first.name if number == 1 else f"{first.name}-{number}")).touch()
    with pytest.raises(UnavailableError, match="other users have taken the names"):
        private_folder(str(tmp_path))


def test_a_file_in_place_of_the_parent(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        private_folder(str(tmp_path / "file"))
