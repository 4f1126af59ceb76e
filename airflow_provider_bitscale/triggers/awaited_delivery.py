"""Listens, in the triggerer, for the delivery of a run to the task that submitted it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from airflow.sdk.bases.xcom import BaseXCom

from airflow_provider_bitscale.runs.polling import LISTEN_SECONDS, happens

# A triggerer answers its triggers one by one, with work of its own in between, and takes their events in the
# same queue: one that waits long for an answer asks less often, so that the queue stays short for all.
_PAUSE_FOR_EACH_SECOND = 4.0
_LONGEST_PAUSE = 10.0

log = logging.getLogger(__name__)


def pause_between_reads(took: float) -> float:
    """Seconds until Airflow is asked again, after an answer that took a number of seconds."""
    return min(max(LISTEN_SECONDS, took * _PAUSE_FOR_EACH_SECOND), _LONGEST_PAUSE)


class AwaitedDelivery:
    """A delivery that may come, left by the API server for the task: see :mod:`webhooks.notify_tasks`.

    :param address: the fields of
        :class:`~airflow_provider_bitscale.webhooks.callback_token.DeliveryAddress`.
    """

    def __init__(self, address: Mapping[str, Any]) -> None:
        self._place = {name: address[name] for name in ("key", "dag_id", "run_id", "task_id", "map_index")}
        self.arrived = asyncio.Event()
        self.payload: dict[str, Any] | None = None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[AwaitedDelivery]:
        """Listen for as long as the block lasts."""
        listener = asyncio.create_task(self._listen())
        try:
            yield self
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def payload_by(
        self, deadline: float, unless: asyncio.Future[Any] | None = None
    ) -> dict[str, Any] | None:
        """Return the delivery, or None if it has not come by then.

        :param deadline: in Unix seconds.
        :param unless: what else ends the waiting.
        """
        await happens(self.arrived, max(0.0, deadline - time.time()), unless)
        return self.payload

    async def _listen(self) -> None:
        told = False
        while self.payload is None:
            began = time.monotonic()
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
                await asyncio.sleep(pause_between_reads(time.monotonic() - began))

    async def _look(self) -> dict[str, Any] | None:
        # The base class: a custom backend has not written this.
        try:
            text = await BaseXCom.aget_one(**self._place)
        except AttributeError:
            # `dag.test()` runs triggers in a process that knows the sync way only.
            text = await asyncio.to_thread(BaseXCom.get_one, **self._place)
        payload = json.loads(text) if isinstance(text, str) else None
        return payload if isinstance(payload, dict) else None
