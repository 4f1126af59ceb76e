"""A local BitScale: either contract of the HTTP API with state and faults, for tests that spend nothing.

Run it from a shell with ``python -m airflow_provider_bitscale.emulator`` or inside a test::

    with Emulator() as emulator:
        os.environ["AIRFLOW_CONN_BITSCALE_DEFAULT"] = emulator.connection_json()

It needs neither Airflow nor the rest of this package. ``EmulatorControl`` steers a running emulator, also
one in another process.

In: ``server`` (``Emulator``, a thread with a socket), ``app`` (ASGI), ``control_api`` (``/_emulator/``).
They share one ``backend``, made from ``settings``. It owns all that changes: ``state`` (credits, ``runs``),
``faults``, ``request_log``, ``rate_limit``, ``run_waiters`` and ``webhooks``.
A request goes through ``routing`` to an endpoint of one of the ``contracts``, which ask ``validation`` and
``state``; ``seed`` is the demo account, ``fake_values`` makes the answers. Out: ``responses``, ``errors``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_bitscale.emulator.control import EmulatorControl
    from airflow_provider_bitscale.emulator.server import Emulator

__all__ = ["Emulator", "EmulatorControl"]


def __getattr__(name: str) -> Any:
    # Importing this package must stay cheap; uvicorn and starlette are loaded by those who ask for them.
    if name == "Emulator":
        from airflow_provider_bitscale.emulator.server import Emulator

        return Emulator
    if name == "EmulatorControl":
        from airflow_provider_bitscale.emulator.control import EmulatorControl

        return EmulatorControl
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
