"""What a batch does next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Submit:
    """Submit this row."""

    row: int


@dataclass(frozen=True)
class Poll:
    """Look at the run of this row."""

    row: int


@dataclass(frozen=True)
class Rest:
    """Nothing to do before so many seconds have passed, or something has happened; None: just the latter."""

    seconds: float | None


@dataclass(frozen=True)
class Done:
    """Every row that was submitted is settled, and no other will be."""


Step: TypeAlias = "Submit | Poll | Rest | Done"
