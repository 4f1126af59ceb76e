"""The modules of this project, and what each of them imports, read from their text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def modules(folder: str) -> dict[str, Path]:
    """Return the file of every module below a folder of the repository, by its full name."""
    files = sorted((ROOT / folder).rglob("*.py"))
    return {_name(file): file for file in files}


def imports(modules_of: dict[str, Path]) -> dict[str, set[str]]:
    """Return which of these modules each of them imports: anywhere in it, for types or when called, too."""
    return {
        name: {found for found in _imported(name, file, modules_of) if found != name}
        for name, file in modules_of.items()
    }


def _name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(name: str, file: Path, known: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in known:
                    yield whole
                elif node.module in known:
                    yield node.module
