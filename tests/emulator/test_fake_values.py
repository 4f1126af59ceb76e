"""Enriched values: always there, plausible, and the same everywhere."""

from __future__ import annotations

import re
import subprocess
import sys
from math import log
from statistics import mean, median

import pytest

from airflow_provider_bitscale.emulator.fake_values import (
    draw,
    draw_fraction,
    draw_log_normal,
    joined,
    profile_url,
    work_email,
)

EMAIL = re.compile(r"[a-z0-9._]{1,64}@[a-z0-9]{1,63}[.]com")
PROFILE = re.compile(r"https://linkedin[.]com/in/[a-z0-9-]{1,90}")


@pytest.mark.parametrize(
    "text",
    [
        "Jane Doe",
        "José Ñandú",
        "李雷",
        "O'Brien",
        "-",
        "",
        "  ",
        None,
        "x" * 100_000,
        "\ud800",
        "🙂",
        "a\x00b",
    ],
)
def test_any_name_gets_an_address(text: str | None) -> None:
    inputs = {"name": text, "company": text}
    assert EMAIL.fullmatch(work_email("name", "company").compute(7, inputs))
    assert PROFILE.fullmatch(profile_url("name").compute(7, inputs))


def test_names_that_fold_to_nothing_still_differ() -> None:
    answer = work_email("name", "company")
    assert answer.compute(0, {"name": "李雷", "company": "A"}) != answer.compute(
        0, {"name": "韩梅", "company": "A"}
    )


def test_accents_are_folded() -> None:
    assert "jose" in profile_url("name").compute(0, {"name": "José Ñandú"})
    assert "nandu" in profile_url("name").compute(0, {"name": "José Ñandú"})


def test_a_formula_joins_what_is_there() -> None:
    assert joined("a", "b").compute(0, {"a": "x", "b": "y"}) == "x | y"
    assert joined("a", "b").compute(0, {"b": "y"}) == "y"
    assert joined("a", "b").compute(0, {}) == ""


def test_draws_do_not_depend_on_the_process() -> None:
    module = "airflow_provider_bitscale.emulator.fake_values"
    code = f"from {module} import draw; print(draw(3, 'x', {{'b': 1, 'a': 2}}))"
    other = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "123"},
    )
    assert int(other.stdout) == draw(3, "x", {"a": 2, "b": 1})


def test_fractions_fill_the_unit_interval() -> None:
    values = [draw_fraction(0, number) for number in range(2000)]
    assert all(0 <= value < 1 for value in values)
    assert min(values) < 0.01
    assert max(values) > 0.99


def test_log_normal_draws_lie_around_the_geometric_mean_of_their_bounds() -> None:
    values = [draw_log_normal(2.0, 10.0, 0, number) for number in range(2000)]
    assert values == [draw_log_normal(2.0, 10.0, 0, number) for number in range(2000)]
    assert 2 <= min(values) < 2.1
    assert 9.5 < max(values) <= 10
    middle, sigma = 20**0.5, log(10 / 2) / 4
    assert median(values) == pytest.approx(middle, rel=0.05)
    near = [value for value in values if abs(log(value / middle)) < sigma]
    assert len(near) == pytest.approx(2000 * 0.683 / 0.954, rel=0.05)


@pytest.mark.parametrize("bounds", [(0.0, 10.0), (0.3, 0.3), (0.0, 0.0)])
def test_draws_keep_bounds_without_a_spread_or_a_logarithm(bounds: tuple[float, float]) -> None:
    values = [draw_log_normal(*bounds, 0, number) for number in range(2000)]
    assert bounds[0] <= min(values)
    assert max(values) <= bounds[1]
    assert mean(values) == pytest.approx(mean(bounds), rel=0.05)
