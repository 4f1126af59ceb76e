"""Plausible enriched values: pure functions of the seed and the inputs.

Nothing here depends on the order of runs, the process or ``hash()``, so that a row always gets the same
values. ``_SALT`` is chosen so that seed 0 gives the document's own example (Jane Doe, Acme Corp).
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

_SALT = b"1373"


@dataclass(frozen=True)
class FakeValue:
    """How a column that is not an input gets its value.

    :param compute: ``(seed, inputs by column id) -> value``.
    :param needs: ids of the columns that the value is made from.
    :param miss: the text in its place when an enrichment finds nothing.
    """

    compute: Callable[[int, Mapping[str, Any]], Any]
    needs: tuple[str, ...]
    miss: str = ""


_EMAIL_CONVENTIONS = ("{first}.{last}", "{first}{last}", "{first[0]}{last}", "{first}_{last}")
_LONGEST_LOCAL_PART = 64
_LONGEST_DOMAIN_LABEL = 63
_TWO_SIGMA_TO_0_AND_1 = NormalDist(mu=0.5, sigma=0.25)


def draw(seed: int, *parts: object) -> int:
    """Return a 64-bit number that is the same for the same seed and parts, everywhere and always."""
    raw = json.dumps([seed, *parts], sort_keys=True).encode()
    return int.from_bytes(hashlib.sha256(_SALT + raw).digest()[:8], "big")


def draw_fraction(seed: int, *parts: object) -> float:
    """Return a number in [0, 1) that is the same for the same seed and parts."""
    return (draw(seed, *parts) >> 11) / float(1 << 53)


def draw_log_normal(low: float, high: float, seed: int, *parts: object) -> float:
    """Return a number from ``low`` to ``high`` that is the same for the same seed and parts.

    Log-normal around the geometric mean of the two, each two sigma away, the tails beyond them cut off;
    uniform where ``low`` is 0, which has no logarithm.
    """
    fraction = draw_fraction(seed, *parts)
    if low == 0:
        return high * fraction
    below, above = _TWO_SIGMA_TO_0_AND_1.cdf(0), _TWO_SIGMA_TO_0_AND_1.cdf(1)
    way = _TWO_SIGMA_TO_0_AND_1.inv_cdf(below + (above - below) * fraction)
    drawn: float = low * (high / low) ** way
    return min(max(low, drawn), high)


def work_email(name_column: str, company_column: str) -> FakeValue:
    """Return the value of a column: an address in the convention of the company."""

    def value(seed: int, inputs: Mapping[str, Any]) -> str:
        words = _words(seed, inputs.get(name_column), stranger="contact")
        company = "".join(_words(seed, inputs.get(company_column), stranger="company"))
        # A company writes all its addresses alike, so the convention hangs on the company only.
        convention = _EMAIL_CONVENTIONS[draw(seed, "email convention", company) % len(_EMAIL_CONVENTIONS)]
        local = convention.format(first=words[0], last=words[-1]) if len(words) > 1 else words[0]
        return f"{local[:_LONGEST_LOCAL_PART]}@{company[:_LONGEST_DOMAIN_LABEL]}.com"

    return FakeValue(value, (name_column, company_column), miss="No email found")


def profile_url(name_column: str) -> FakeValue:
    """Return the value of a column: a LinkedIn-like address built from a person's name."""

    def value(seed: int, inputs: Mapping[str, Any]) -> str:
        words = _words(seed, inputs.get(name_column), stranger="member")
        number = draw(seed, "profile", words)
        hyphenated = "-".join(words)[:80]
        handles = ("".join(words)[:80], hyphenated, f"{hyphenated}-{number & 0xFFFFFF:06x}")
        return f"https://linkedin.com/in/{handles[number % len(handles)]}"

    return FakeValue(value, (name_column,), miss="No profile found")


def joined(*columns: str) -> FakeValue:
    """Return the value of a column: the given columns' values side by side, as a formula column would."""

    def value(_seed: int, inputs: Mapping[str, Any]) -> str:
        return " | ".join(str(inputs[column]) for column in columns if inputs.get(column) not in {None, ""})

    return FakeValue(value, columns)


def one_of(column: str, *choices: str) -> FakeValue:
    """Return the value of a column: one of ``choices``, drawn by the value of ``column``."""

    def value(seed: int, inputs: Mapping[str, Any]) -> str:
        return choices[draw(seed, "choice", column, inputs.get(column)) % len(choices)]

    return FakeValue(value, (column,))


def _words(seed: int, value: object, *, stranger: str) -> list[str]:
    """Return the lower-case ASCII words of ``value``; at least one, whatever the script or emptiness."""
    text = unicodedata.normalize("NFKD", str(value or "")).replace("'", "")
    words = re.findall(r"[a-z0-9]+", text.encode("ascii", "ignore").decode().lower())
    # Names in other scripts fold to nothing; they still need an answer of their own.
    return words or [f"{stranger}{draw(seed, stranger, text) & 0xFFFFFF:06x}"]
