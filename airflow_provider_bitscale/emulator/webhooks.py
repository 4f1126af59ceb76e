"""Webhook delivery as the document promises it ("Webhook Delivery"): signed, acknowledged, retried.

Nothing leaves the machine: every delivery goes to the configured loopback origin, which stands for the
internet, with the path and query of the run's webhook URL.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from airflow_provider_bitscale.emulator.contracts.v1_1_0 import webhook_payload
from airflow_provider_bitscale.emulator.run_waiters import RunWaiters
from airflow_provider_bitscale.emulator.runs import Run
from airflow_provider_bitscale.emulator.seed import WEBHOOK_SECRET
from airflow_provider_bitscale.emulator.settings import Settings

_RETRIES = 3


def sign(payload: bytes, secret: str) -> str:
    """Return the ``X-BitScale-Signature`` of the raw ``payload``.

    The document says HMAC-SHA256 and leaves the encoding open; here it is lower-case hex without a prefix.
    """
    return hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


def pauses_before_attempts(backoff: float) -> tuple[float, ...]:
    """Return the seconds to wait before each attempt: none, then doubling from ``backoff``."""
    return (0.0, *(backoff * 2**retry for retry in range(_RETRIES)))


def redirected_to(target: str, webhook_url: str) -> str:
    """Return ``webhook_url`` with ``target`` in the place of its origin."""
    parts = urlsplit(webhook_url)
    return target.rstrip("/") + (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


class WebhookSender:
    """Delivers the results of runs that have a webhook URL, on the running event loop."""

    def __init__(self, settings: Settings, waiters: RunWaiters, clock: Callable[[], float]) -> None:
        self.deliveries: list[dict[str, Any]] = []
        self._settings = settings
        self._waiters = waiters
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def schedule(self, run: Run, webhook_url: str) -> None:
        """Deliver to ``webhook_url`` when the run has ended."""
        task = asyncio.get_running_loop().create_task(self._deliver(run, webhook_url))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop every delivery that is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self, run: Run, webhook_url: str) -> None:
        if not await self._waiters.wait(run):
            return
        attempts: list[dict[str, Any]] = []
        delivery = {"run_id": run.run_id, "url": webhook_url, "attempts": attempts, "acknowledged": False}
        self.deliveries.append(delivery)
        if self._settings.webhook_target is None:
            attempts.append(
                {"at": self._clock(), "error": "undeliverable: the emulator has no webhook_target"}
            )
            return
        payload = json.dumps(webhook_payload(run, self._clock())).encode()
        url = redirected_to(self._settings.webhook_target, webhook_url)
        # No connection is kept for the next attempt, or a receiver's restart would look like its refusal.
        timeout = aiohttp.ClientTimeout(self._settings.webhook_timeout)
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            for pause in pauses_before_attempts(self._settings.webhook_backoff):
                await asyncio.sleep(pause)
                attempt = await self._attempt(session, url, run.run_id, payload)
                attempts.append(attempt)
                if 200 <= attempt.get("status", 0) <= 299:
                    delivery["acknowledged"] = True
                    return

    async def _attempt(
        self, session: aiohttp.ClientSession, url: str, run_id: str, payload: bytes
    ) -> dict[str, Any]:
        at = self._clock()
        headers = {
            "Content-Type": "application/json",
            "X-BitScale-Run-Id": run_id,
            "X-BitScale-Signature": sign(payload, WEBHOOK_SECRET),
        }
        try:
            async with session.post(url, data=payload, headers=headers, allow_redirects=False) as answer:
                return {"at": at, "status": answer.status}
        except asyncio.TimeoutError:
            return {"at": at, "error": "timeout"}
        except (aiohttp.ClientError, OSError) as error:
            return {"at": at, "error": f"{type(error).__name__}: {error}"}
