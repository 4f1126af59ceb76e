"""The compose file of the documentation, read as its tests need it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[2] / "docs" / "compose" / "docker-compose.yaml"
# ${NAME}, ${NAME:-default}, ${NAME:?what to say without it}
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def compose(variables: dict[str, str]) -> dict[str, Any]:
    """Return the document with these variables filled in, as `docker compose` does from `.env`.

    :raises KeyError: one that has no default is not given.
    """

    def value(match: re.Match[str]) -> str:
        name, kind, text = match.groups()
        return variables.get(name, text) if kind == "-" else variables[name]

    document: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(value, FILE.read_text(encoding="utf-8")))
    return document


def variables_needed() -> set[str]:
    """Return the variables without which `docker compose` would not start."""
    return {name for name, kind, _ in _VARIABLE.findall(FILE.read_text(encoding="utf-8")) if kind == "?"}
