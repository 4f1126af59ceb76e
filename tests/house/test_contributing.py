"""CONTRIBUTING.md names files and folders: they are there."""

from __future__ import annotations

import re

import pytest

from tests.house.sources import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PATHS = set(re.findall(r"`([\w./]+(?:\.py|/))`|`(tests/[\w/]+)`", TEXT))
# Paths of the package are written without its name; tests named after a folder, without that folder's.
BASES = (ROOT, ROOT / "airflow_provider_bitscale", ROOT / "tests" / "airflow")


@pytest.mark.parametrize("path", sorted(path or folder for path, folder in PATHS))
def test_a_path_that_is_named_is_there(path: str) -> None:
    assert any((base / path).exists() for base in BASES)


def test_paths_are_found() -> None:
    assert len(PATHS) > 20
