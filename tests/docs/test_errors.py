"""The page of errors has every error, and quotes what the code really says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_bitscale import exceptions
from airflow_provider_bitscale.api import errors
from tests.docs.blocks import ROOT

PACKAGE = ROOT / "airflow_provider_bitscale"
PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
# Between them, a message has what differs from one error to another.
_GAP = "…"
# What others say.
_OF_OTHERS = re.compile(r"^BitScale's own|\(Airflow's own\)$")


def error_names() -> set[str]:
    """Return the names of all errors that a user may meet."""
    return {
        name
        for module in (errors, exceptions)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, errors.BitScaleError)
    }


def quoted() -> Iterator[str]:
    """Yield the texts of the page's tables: the cells of each column that is called Text."""
    column = None
    for line in PAGE.splitlines():
        cells = (
            [cell.strip() for cell in line.strip().strip("|").split(" | ")] if line.startswith("|") else []
        )
        if not cells:
            column = None
        elif column is None:
            column = cells.index("Text") if "Text" in cells else -1
        elif column >= 0 and not cells[column].startswith("---"):
            yield from (text for text in cells[column].split(" / ") if not _OF_OTHERS.search(text))


def literals(folder: Path) -> Iterator[str]:
    """Yield all texts of the code but docstrings, with a gap for each value that is filled in."""
    for file in sorted(folder.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if id(node) in docstrings:
                continue
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(p.value) if isinstance(p, ast.Constant) else _GAP for p in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_error_is_on_the_page() -> None:
    assert {name for name in error_names() if f"`{name}`" not in PAGE} == set()


@pytest.fixture(scope="module")
def code() -> str:
    return "\n".join(literals(PACKAGE))


@pytest.mark.parametrize("text", list(quoted()))
def test_a_text_on_the_page_is_one_of_the_code(text: str, code: str) -> None:
    parts = [part.strip(" '.,:") for part in text.split(_GAP)]
    assert [part for part in parts if part and part not in code] == []


def test_texts_are_found() -> None:
    texts = list(quoted())
    assert len(texts) > 40
    assert "no input has a value: a blank row would be paid for" in texts


def test_code_of_an_error_is_on_the_page() -> None:
    documented = re.findall(r"\b[A-Z]+_[A-Z_]+\b", str(errors.__doc__))
    assert [code for code in documented if code not in PAGE] == []
