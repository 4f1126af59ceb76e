"""A figure, its target, and the table of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    :param target: in words; empty where there is none, and the figure is there to compare with.
    :param met: whether the target is met; None where there is none, or where it could not be measured.
    :param raw: the numbers behind the figure.
    """

    name: str
    measured: str
    target: str = ""
    met: bool | None = None
    raw: str = ""

    @property
    def verdict(self) -> str:
        """PASS, MISS, SKIP, or nothing."""
        if self.met is None:
            return "SKIP" if self.target else ""
        return "PASS" if self.met else "MISS"


def at_most(name: str, value: float, limit: float, *, unit: str = "", raw: str = "") -> Figure:
    """A figure that is to be small."""
    return Figure(name, _number(value) + unit, f"<= {_number(limit)}{unit}", value <= limit, raw)


def at_least(name: str, value: float, limit: float, *, unit: str = "", raw: str = "") -> Figure:
    """A figure that is to be great."""
    return Figure(name, _number(value) + unit, f">= {_number(limit)}{unit}", value >= limit, raw)


def skipped(name: str, target: str, reason: str) -> Figure:
    """A figure that could not be measured, and why."""
    return Figure(name, "-", target, None, reason)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


def table(figures: Iterable[Figure]) -> str:
    """All figures below one another, and how many targets were met."""
    figures = list(figures)
    rows = [(figure.verdict, figure.name, figure.measured, figure.target, figure.raw) for figure in figures]
    lines = _aligned([("", "figure", "measured", "target", "raw"), *rows])
    verdicts = [figure.verdict for figure in figures]
    lines.append("")
    lines.append(
        f"{verdicts.count('PASS')} targets met, {verdicts.count('MISS')} missed, "
        f"{verdicts.count('SKIP')} not measured."
    )
    lines += [f"MISSED: {figure.name}" for figure in figures if figure.verdict == "MISS"]
    return "\n".join(lines)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
