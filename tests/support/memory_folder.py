"""A folder for the files of a batch, in memory."""

from __future__ import annotations


class MemoryFolder:
    """Files by name; each access raises ``problem`` while there is one."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.problem: Exception | None = None

    def write_file(self, name: str, text: str) -> str:
        self._check()
        self.files[name] = text
        return f"memory://{name}"

    def read_file(self, name: str) -> str | None:
        self._check()
        return self.files.get(name)

    def remove_file(self, name: str) -> None:
        self._check()
        self.files.pop(name, None)

    def _check(self) -> None:
        if self.problem is not None:
            raise self.problem
