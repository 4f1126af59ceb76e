"""Pure: words in rows that may stand for nothing, and may be what they say: people are called Null."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_bitscale.api.blank import trimmed

# Places that are told of one word.
_MAX_PLACES = 3


@dataclass(slots=True)
class NullWord:
    """A word that rows have as an input, or in their key.

    :param key: of the input, as a run takes it; or the field of the row's key.
    :param rows: how many have it.
    :param places: of the first of them.
    """

    key: str
    word: str
    rows: int = 0
    places: list[str] = field(default_factory=list)

    def told(self, input_name: str) -> str:
        """A line for the log, of an input."""
        return f"{self._have(input_name)}, and it is sent as it is; {self._way_out}"

    @property
    def told_of_key(self) -> str:
        """A line for the log, of a key."""
        return f"{self._have(self.key)}, which row_key names, so they may be duplicates; {self._way_out}"

    def _have(self, name: str) -> str:
        places = ", ".join(self.places) + (", …" if self.rows > len(self.places) else "")
        have = "1 row has" if self.rows == 1 else f"{self.rows:,} rows have"
        return f"{have} {self.word!r} as {name} ({places})"

    @property
    def _way_out(self) -> str:
        return f"if that means nothing: null_values=[{self.word!r}, …]"


class NullWords:
    """Counts such words."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], NullWord] = {}

    def look_at(self, place: str, inputs: Mapping[str, Any]) -> None:
        """Count those among some values of a row."""
        for key, value in inputs.items():
            if isinstance(value, str) and _may_mean_nothing(word := trimmed(value)):
                found = self._found.setdefault((key, word), NullWord(key, word))
                found.rows += 1
                if len(found.places) < _MAX_PLACES:
                    found.places.append(place)

    @property
    def found(self) -> tuple[NullWord, ...]:
        """Those that were found, in the order of the rows."""
        return tuple(self._found.values())

    @property
    def repeated(self) -> tuple[NullWord, ...]:
        """Those that more than one row has."""
        return tuple(word for word in self.found if word.rows > 1)


def _may_mean_nothing(word: str) -> bool:
    return bool(word) and (word.casefold() in _WORDS or not any(map(str.isalnum, word)))


# Those that pandas reads as missing, and what spreadsheets, databases and people write beside them.
_WORDS = frozenset(
    {"null", "(null)", "[null]", "<null>", "na", "n/a", "n.a.", "n.a", "<na>", "nan", "-nan", "nat", "none"}
    | {"nil", "notset", "undefined", "(blank)", "(empty)", "empty", "missing", "inf", "-inf", r"\n"}
    | {"#n/a n/a", "#na", "#num!", "#nv", "#wert!", "#bezug!", "#name", "#spill!", "#calc!", "#getting_data"}
    | {"1.#ind", "1.#qnan", "-1.#ind", "-1.#qnan"}
)
