"""Run something in a fork of this process, as another user if that is asked for."""

from __future__ import annotations

import os
import pickle
import select
import signal
import traceback
import warnings
from collections.abc import Callable
from typing import Generic, TypeVar

from tests.support.processes import Account

Found = TypeVar("Found")

_PATIENCE = 60.0


class Fork(Generic[Found]):
    """A child process that runs a function; for the time of a block.

    :param account: whom it runs as; only root can choose.
    """

    def __init__(self, function: Callable[[], Found], account: Account | None = None) -> None:
        self._answer, sink = os.pipe()
        with warnings.catch_warnings():
            # That threads do not come along is what some tests are about.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if not self.pid:
            _run(function, account, sink)
        os.close(sink)

    def __enter__(self) -> Fork[Found]:
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._answer)

    def result(self) -> Found:
        """Return what the function returned, within a minute; raise what it raised, as text."""
        data = b""
        while select.select([self._answer], [], [], _PATIENCE)[0]:
            more = os.read(self._answer, 1 << 16)
            if not more:
                failure, found = pickle.loads(data)
                if failure:
                    raise RuntimeError(failure)
                result: Found = found
                return result
            data += more
        raise TimeoutError(f"no answer of the fork for {_PATIENCE:g} s")


def in_fork(function: Callable[[], Found], account: Account | None = None) -> Found:
    """Return what a function returns in a fork."""
    with Fork(function, account) as fork:
        return fork.result()


def _run(function: Callable[[], object], account: Account | None, sink: int) -> None:
    try:
        if account:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
        answer = pickle.dumps((None, function()))
    except BaseException:
        answer = pickle.dumps((traceback.format_exc(), None))
    with os.fdopen(sink, "wb") as pipe:
        pipe.write(answer)
    os._exit(0)
