"""The pictures of the documentation: made of a real Airflow, anew in each run, and none of them blank."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.chromium import CHROMIUM
from tests.support.screenshots import PICTURES, studio

# A picture without anything in it has a handful.
_COLOURS = 500
_BYTES = 200_000

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: chromium)")


def test_each_picture_of_the_documentation_is_taken_of_a_real_airflow(tmp_path: Path) -> None:
    home, taken = tmp_path / "home", tmp_path / "taken"
    home.mkdir()
    taken.mkdir()
    with studio(home) as scene:
        paths = scene.take_all(taken)
        colours = {path.name: scene.colours(path) for path in (*paths, *PICTURES.glob("*.png"))}

    assert {path.name for path in paths} == {path.name for path in PICTURES.glob("*.png")}
    assert {name: count for name, count in colours.items() if count < _COLOURS} == {}
    assert {path.name for path in PICTURES.glob("*.png") if path.stat().st_size > _BYTES} == set()
