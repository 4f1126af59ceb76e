"""Which rooms of the package a room may use: imports go down, from Airflow's words to the HTTP API."""

from __future__ import annotations

import pytest

from tests.house.sources import imports, modules

PACKAGE = "airflow_provider_bitscale"
GRAPH = imports(modules(PACKAGE))
# What all rooms of a batch share.
ROW = "batch.row_result"
# A row keeps a delivery that comes before the answer to its submission.
DELIVERY = "webhooks.delivery_queue"
ROOMS: dict[str, set[str]] = {
    "api": {"api"},
    "runs": {"api", "runs"},
    "batch.table": {"api", "runs", "batch.table", ROW},
    "batch.plan": {"api", "runs", "batch.plan", ROW, DELIVERY},
    "batch.store": {"api", "runs", "batch.table", "batch.plan", "batch.store", "batch.progress", ROW},
    "emulator": {"api", "emulator"},
}


def room_of(module: str) -> str:
    """Return the room of a module: its folder, or in batch/ itself the module."""
    name = module.removeprefix(f"{PACKAGE}.")
    parts = name.split(".")
    return name if name == DELIVERY else ".".join(parts[:2] if parts[0] == "batch" else parts[:1])


@pytest.mark.parametrize(("room", "may_use"), ROOMS.items(), ids=ROOMS.keys())
def test_a_room_uses_none_above_it(room: str, may_use: set[str]) -> None:
    used = {(module, found) for module in GRAPH if room_of(module) == room for found in GRAPH[module]}
    assert used, "there is such a room"
    assert {(module, found) for module, found in used if room_of(found) not in {*may_use, PACKAGE}} == set()
