"""Task state stores that keep JSON as text, for what needs no Airflow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any


class JsonStore:
    """A store that keeps text only, as Airflow's does."""

    def __init__(self, **values: Any) -> None:
        self.texts = {key: json.dumps(value) for key, value in values.items()}

    def get(self, key: str) -> Any:
        return json.loads(self.texts.get(key, "null"))

    def set(self, key: str, value: Any) -> None:
        self.texts[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self.texts.pop(key, None)


class HalfBlindStore(JsonStore):
    """A store of which some reads are answered "no such key" by something in between.

    :param blind: of each read, whether it is; none are after the last of these.
    """

    def __init__(self, blind: Iterable[bool], **values: Any) -> None:
        super().__init__(**values)
        self._blind: Iterator[bool] = iter(blind)

    def get(self, key: str) -> Any:
        return None if next(self._blind, False) else super().get(key)
