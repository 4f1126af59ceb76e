"""What throwaway servers have in common: a loopback port, a password, a folder of their own, an end."""

from __future__ import annotations

import secrets
import shutil
import signal
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from typing_extensions import Self

from tests.support.processes import Family, free_port, tail
from tests.support.waiting import wait_until


class Service(ABC):
    """A server that is alive for the length of a `with`, its files in a temporary folder, wiped at exit.

    Entering raises `RuntimeError` with the server's words when it does not come up.
    """

    title: ClassVar[str]
    process: ClassVar[str]
    end_by: ClassVar[signal.Signals] = signal.SIGTERM
    end_grace: ClassVar[float]

    def __init__(self) -> None:
        self.port = free_port()
        self._password = secrets.token_hex(8)
        self._family = Family()

    @staticmethod
    @abstractmethod
    def missing_reason() -> str | None:
        """Why there can be none here, in words for a skipped test; None when there can."""

    @abstractmethod
    def _start(self) -> None:
        """Start the process and wait until it answers."""

    def __enter__(self) -> Self:
        if reason := self.missing_reason():
            raise RuntimeError(reason)
        self._folder = Path(tempfile.mkdtemp(prefix=f"{self.process}-"))
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._family.end(grace=self.end_grace, by=self.end_by)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _wait_until_up(self, answers: Callable[[], bool], log: Path) -> None:
        def up() -> bool:
            if (code := self._family.exit_code(self.process)) is not None:
                raise RuntimeError(f"{self.process} ended with {code}:\n{tail(log)}")
            return answers()

        wait_until(up, f"{self.title} to answer", every=0.1)
