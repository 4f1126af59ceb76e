"""Listens, in the triggerer, for the delivery of a run to the task that submitted it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from airflow.sdk.bases.xcom import BaseXCom

from airflow_provider_bitscale.runs.polling import LISTEN_SECONDS, happens

# Less often where many listen in one triggerer.
_LISTENERS_A_SECOND = 100

log = logging.getLogger(__name__)


class AwaitedDelivery:
    """A delivery that may come, as the API server leaves it for the task: see :mod:`webhooks.waiting_tasks`.

    :param addressee: the fields of :class:`~airflow_provider_bitscale.webhooks.addressee.Addressee`.
    """

    _listening: ClassVar[int] = 0

    def __init__(self, addressee: Mapping[str, Any]) -> None:
        self._place = {name: addressee[name] for name in ("key", "dag_id", "run_id", "task_id", "map_index")}
        self.arrived = asyncio.Event()
        self.payload: dict[str, Any] | None = None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[AwaitedDelivery]:
        """Listen for as long as the block lasts."""
        listener = asyncio.create_task(self._listen())
        AwaitedDelivery._listening += 1
        try:
            yield self
        finally:
            AwaitedDelivery._listening -= 1
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def payload_by(
        self, deadline: float, unless: asyncio.Future[Any] | None = None
    ) -> dict[str, Any] | None:
        """The delivery, or None if it has not come by then.

        :param deadline: in Unix seconds.
        :param unless: what else ends the waiting.
        """
        await happens(self.arrived, max(0.0, deadline - time.time()), unless)
        return self.payload

    async def _listen(self) -> None:
        told = False
        while self.payload is None:
            try:
                self.payload = await self._look()
            except Exception as problem:
                # The polls that go on beside this will see the end of the run.
                if not told:
                    log.warning("Airflow could not be asked for the delivery: %s", problem)
                told = True
            if self.payload is not None:
                self.arrived.set()
            else:
                await asyncio.sleep(max(LISTEN_SECONDS, self._listening / _LISTENERS_A_SECOND))

    async def _look(self) -> dict[str, Any] | None:
        # The base class: a custom backend has not written this.
        try:
            text = await BaseXCom.aget_one(**self._place)
        except AttributeError:
            # `dag.test()` runs triggers in a process that knows the sync way only.
            text = await asyncio.to_thread(BaseXCom.get_one, **self._place)
        payload = json.loads(text) if isinstance(text, str) else None
        return payload if isinstance(payload, dict) else None
