"""How the package is built: no circles, no file that is too long, no class that leans on its operator."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.sources import imports, modules

MODULES = modules("airflow_provider_bitscale")
LONGEST_FILE = 300
MOST_ATTRIBUTES_READ = 3


def test_no_module_imports_its_importer_not_even_for_types() -> None:
    assert circles(imports(MODULES)) == []


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return a shortest circle through each module that is in one, every circle once."""
    found: dict[frozenset[str], list[str]] = {}
    for start in graph:
        if circle := _back_to(start, graph):
            found.setdefault(frozenset(circle), circle)
    return list(found.values())


def _back_to(start: str, graph: dict[str, set[str]]) -> list[str]:
    ways = [[start]]
    seen = set[str]()
    while ways:
        way = ways.pop(0)
        for target in sorted(graph[way[-1]]):
            if target == start:
                return way
            if target not in seen:
                seen.add(target)
                ways.append([*way, target])
    return []


def test_a_circle_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == [["b", "c"]]


def test_no_file_is_longer_than_a_person_reads() -> None:
    lengths = {name: len(file.read_text(encoding="utf-8").splitlines()) for name, file in MODULES.items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_class_leans_on_the_operator_it_was_given() -> None:
    """What it needs of one is passed as values of its own."""
    leaning = {
        f"{module}.{name}": sorted(read)
        for module, file in MODULES.items()
        for name, read in _read_of_operators(file)
        if len(read) > MOST_ATTRIBUTES_READ
    }
    assert leaning == {}


def test_a_class_that_leans_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "leans.py"
    file.write_text(
        "class Leans:\n"
        "    def run(self, operator):\n"
        "        self.log, mine = self._operator.log, self.mine\n"
        "        return operator.grid_id, operator.hook(operator.timeout)\n"
    )
    assert list(_read_of_operators(file)) == [("Leans", {"log", "grid_id", "hook", "timeout"})]


def _read_of_operators(file: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield each class of a file with the attributes it reads of something named as an operator."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            inside = [each for each in ast.walk(node) if isinstance(each, ast.Attribute)]
            yield node.name, {each.attr for each in inside if _is_an_operator(each.value)}


def _is_an_operator(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr.lstrip("_") == "operator"
    return isinstance(node, ast.Name) and node.id == "operator"
