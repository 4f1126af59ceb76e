"""Pure: the rows that earlier tries sent, by their logs, and what follows for the entry of a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from airflow_provider_bitscale.batch.store.segment_records import ANNOUNCED, Entry

SENT, NOT_PROCESSED, ACCEPTED, ANSWERED = "sent", "not-processed", "accepted", "answered"


@dataclass
class SentRows:
    """Rows are known by their position in the input.

    :param complete: whether all rows that were sent are known here.
    :param open: requests of a row that left, and were not answered as far as is known.
    :param answered: rows whose answer was a result, and names no run to ask for.
    """

    complete: bool = True
    run_ids: dict[int, str] = field(default_factory=dict)
    open: Counter[int] = field(default_factory=Counter)
    answered: set[int] = field(default_factory=set)

    @property
    def awaits_answers(self) -> bool:
        """Whether a request had left, and its answer was not there yet."""
        return any(count > 0 for count in self.open.values())

    def add(self, lines: Iterable[str]) -> None:
        """Take in the lines of one try."""
        for line in lines:
            match line.split(" "):
                case [word, row] if row.isdecimal() and word in (SENT, NOT_PROCESSED, ANSWERED):
                    self.open[int(row)] += 1 if word == SENT else -1
                    if word == ANSWERED:
                        self.answered.add(int(row))
                case [word, row, run_id] if row.isdecimal() and word == ACCEPTED:
                    self.open[int(row)] -= 1
                    self.run_ids[int(row)] = run_id
                case _:
                    # Only a part of the line was written.
                    self.complete = False

    def include(self, other: SentRows) -> None:
        """Take in the log of another try."""
        self.complete &= other.complete
        self.run_ids |= other.run_ids
        self.open.update(other.open)
        self.answered |= other.answered

    def entry(self, row: int, entry: Entry) -> Entry:
        """Return what is to be made of a row's entry in the store."""
        if entry:
            return entry
        if row in self.run_ids:
            return self.run_ids[row]
        if self.open[row] > 0 or row in self.answered:
            return ANNOUNCED
        return None if self.complete else entry
