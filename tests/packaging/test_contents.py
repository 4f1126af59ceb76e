"""What a release contains, and what an index shows of it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from airflow_provider_bitscale import PROJECT_URL, __version__
from tests.support.packages import PACKAGE, build, files_of_sdist, files_of_wheel, metadata, run, tracked


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("dist"))


def test_the_wheel_has_the_package_and_nothing_else(built: tuple[Path, Path]) -> None:
    files = files_of_wheel(built[1])
    assert files == tracked(PACKAGE)
    assert {
        f"{PACKAGE}/py.typed",
        f"{PACKAGE}/example_dags/bitscale_enrich_csv.py",
        f"{PACKAGE}/example_dags/data/leads.csv",
        f"{PACKAGE}/api/shared_state/slot_book.lua",
    } <= files


def test_the_sdist_has_all_that_git_has(built: tuple[Path, Path]) -> None:
    """So that the tests can be run from it. The link to the examples is no second copy of them."""
    assert files_of_sdist(built[0]) - tracked() == set()
    assert tracked() - files_of_sdist(built[0]) <= {"example_dags"}


def test_the_licence_and_the_entry_points_are_in_the_wheel(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as archive:
        records = {name.partition(".dist-info/")[2]: name for name in archive.namelist()}
        entry_points = archive.read(records["entry_points.txt"]).decode()
    assert "licenses/LICENSE" in records
    assert "provider_info = airflow_provider_bitscale:get_provider_info" in entry_points


def test_an_index_would_show_it_well(built: tuple[Path, Path]) -> None:
    run("-m", "twine", "check", "--strict", *map(str, built))
    shown = metadata(built[1])
    assert shown["Version"] == __version__
    assert shown["License-Expression"] == "Apache-2.0"
    assert shown["Description-Content-Type"] == "text/markdown"
    urls = dict(each.split(", ") for each in shown.get_all("Project-URL") or [])
    assert set(urls) == {"Homepage", "Documentation", "Changelog", "Issues", "Source"}
    assert all(url.startswith(PROJECT_URL) for url in urls.values())
