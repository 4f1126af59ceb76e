"""Pure: names of columns, labels and fields as people spell them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache
from unicodedata import normalize

# Of more names than these, a message has the nearest.
MAX_NAMES_TOLD = 20


@lru_cache(4096)
def folded(name: str) -> str:
    """Return a name without case, spaces and punctuation, as of ``Full Name`` and ``full_name``."""
    text = normalize("NFKC", name).casefold()
    # A name of punctuation alone only matches itself.
    return re.sub(r"[\W_]+", "", text) or text.strip()


def nearest(name: str, known: Iterable[str], most: int = 3, likeness: float = 0.5) -> list[str]:
    """Known names that may be meant, the nearest first; perhaps none.

    :param likeness: the least, from 0 to 1 for names that only differ in what is folded.
    """
    names = {folded(each): each for each in known}
    return [names[match] for match in get_close_matches(folded(name), names, n=most, cutoff=likeness)]


def suggestion(name: str, known: Iterable[str], introduction: str) -> str:
    """Return what may be meant by a name that is not known: the end of a sentence.

    :param introduction: of the list of some that are known, where none is near.
    """
    names = {each.casefold(): each for each in known}
    if near := nearest(name, names.values()):
        return f"; did you mean {' or '.join(map(repr, near))}?"
    return f"; {introduction} {listed(names.values())}" if names else ""


def listed(names: Iterable[str], near: Iterable[str] = ()) -> str:
    """Return a list of names for a message, those that are like ``near`` first."""
    wanted = [folded(each) for each in near]
    ordered = sorted(names, key=lambda name: -max((_likeness(name, each) for each in wanted), default=0.0))
    more = len(ordered) - MAX_NAMES_TOLD
    return ", ".join(map(repr, ordered[:MAX_NAMES_TOLD])) + (f" and {more:,} more" if more > 0 else "")


def _likeness(name: str, wanted: str) -> float:
    return SequenceMatcher(None, folded(name), wanted).ratio()
