"""The API key of a client, and its renewal: the one place that knows that keys are rotated.

A request that is refused for its key was not processed. The key is read again, from wherever the client was
told to read it, and if there is another one the request is sent once more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, TypeVar

from airflow_provider_bitscale.api.call import Call
from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.api.contracts import Contract, contract_for
from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.api.limit.pacer import Pacer, pacer_for
from airflow_provider_bitscale.api.shared_state.address import limit_name
from airflow_provider_bitscale.api.shared_state.hints import Hints
from airflow_provider_bitscale.api.shared_state.location import shared_state_of

log = logging.getLogger(__name__)

T = TypeVar("T")
# A key, or what a key is awaited from.
KeyT = TypeVar("KeyT")

ReadKey = Callable[[], str]
ReadKeyAsync = Callable[[], Awaitable[str]]


@dataclass(frozen=True)
class Access:
    """One API key, the contract it is sent by, and the pacer of its rate limit."""

    config: ClientConfig
    contract: Contract
    pacer: Pacer

    @classmethod
    def by(cls, config: ClientConfig) -> Access:
        """Return the access that a configuration gives."""
        contract = contract_for(config)
        return cls(config, contract, pacer_for(config, contract.assumed_per_second))

    @cached_property
    def hints(self) -> Hints:
        """What processes that share the limit tell each other of its grids."""
        config = self.config
        limit = limit_name(config.base_url, config.workspace_id, config.api_key)
        return Hints(shared_state_of(config.shared_state_url), limit)

    def keyed(self, call: Call[T]) -> Call[T]:
        """Return the call with this key, whatever key it was prepared with."""
        name, key = self.contract.key_header, self.config.api_key
        return call if call.headers[name] == key else replace(call, headers={**call.headers, name: key})


class Credentials(Generic[KeyT]):
    """The key that a client uses now, and when it was read.

    Requests that are refused together, for the same key, have it read once between them.

    :param read_key: reads the key again; None where there is nothing to read.
    """

    def __init__(self, config: ClientConfig, read_key: Callable[[], KeyT] | None) -> None:
        self.access = Access.by(config)
        self._read_key = read_key
        # When the latest reading began, in seconds of the monotonic clock.
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    def renew(self: Credentials[str], refused: Access, left_at: float) -> bool:
        """Read the key again, unless that was done since the request left.

        :param refused: what the request was sent with.
        :param left_at: when it was sent, in seconds of the monotonic clock.
        :return: whether there is another key now.
        """
        if self._read_key is not None and self._must_read(refused, left_at):
            with self._noted():
                self._take(self._read_key())
        return self.access is not refused

    async def arenew(self: Credentials[Awaitable[str]], refused: Access, left_at: float) -> bool:
        """Async twin of :meth:`renew`; whoever comes while the key is read waits for that."""
        if self._read_key is not None:
            async with self._reading:
                if self._must_read(refused, left_at):
                    with self._noted():
                        self._take(await self._read_key())
        return self.access is not refused

    def _must_read(self, refused: Access, left_at: float) -> bool:
        return self.access is refused and self._read_at <= left_at

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Note when a reading began. If it fails, the refusal stands, which proves that nothing was done."""
        began = time.monotonic()
        try:
            yield
        except BitScaleError:
            raise
        except Exception as problem:
            log.warning("The API key was refused, and could not be read again: %s", type(problem).__name__)
        self._read_at = began

    def _take(self, key: str) -> None:
        if key != self.access.config.api_key:
            self.access = Access.by(replace(self.access.config, api_key=key))
