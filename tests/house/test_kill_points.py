"""The kill sweep names functions in text: those of ours are there, so a rename leaves no point unreached."""

from __future__ import annotations

import ast
import re

import pytest

from tests.house.sources import ROOT, modules

SWEEP = ROOT / "tests" / "system" / "dags" / "kill_sweep.py"
# Of requests and of the standard library, on the way of a POST.
OF_OTHERS = {"sessions.request", "connection.getresponse"}
POINTS = set(re.findall(r"\b(?:call|return) (\w+\.\w+) ", SWEEP.read_text(encoding="utf-8")))


@pytest.mark.parametrize("point", sorted(POINTS - OF_OTHERS))
def test_a_kill_points_function_is_there(point: str) -> None:
    module, _, function = point.partition(".")
    files = [file for file in modules("airflow_provider_bitscale").values() if file.stem == module]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    assert function in {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def test_the_points_are_found() -> None:
    assert OF_OTHERS < POINTS
    assert len(POINTS) > 5
