"""Pages of deliveries: put by one side, collected by the other, each delivery once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bitscale.webhooks.callback_token import queue_key
from airflow_provider_bitscale.webhooks.delivery_queue import PAGE_SIZE, DeliveryQueue, QueuedDelivery

KEY = queue_key("20260101T000000Z-0123ab")


class JsonStore:
    """Keeps JSON that any reader takes, as Airflow's must; ``fails`` the next so many times."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.fails = 0

    def get(self, key: str) -> Any:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("the API server is away")
        return json.loads(self.values[key]) if key in self.values else None

    def set(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)
        json.dumps(value, ensure_ascii=False).encode()

    def delete(self, key: str) -> None:
        del self.values[key]


@pytest.fixture
def store() -> JsonStore:
    return JsonStore()


def delivery(row: int, size: int = 0) -> QueuedDelivery:
    return QueuedDelivery(row, {"run_id": f"run_{row}", "outputs": {"c": "x" * size}})


def put(store: JsonStore, *deliveries: QueuedDelivery) -> None:
    """The first by itself, the others together; by servers of their own, as it were."""
    DeliveryQueue(store, KEY).put(deliveries[:1])
    DeliveryQueue(store, KEY).put(deliveries[1:])


def collect_all(delivery_queue: DeliveryQueue) -> list[QueuedDelivery]:
    collected = []
    while some := delivery_queue.collect():
        collected += some
    return collected


@pytest.mark.parametrize("size", [0, 700, PAGE_SIZE // 2, 2 * PAGE_SIZE])
def test_what_is_put_is_collected_once_in_order(store: JsonStore, size: int) -> None:
    deliveries = [delivery(row, size) for row in range(60)]
    reader = DeliveryQueue(store, KEY)
    assert reader.collect() == []
    collected = []
    for first in range(0, 60, 7):
        put(store, *deliveries[first : first + 7])
        collected += collect_all(reader)
    assert collected == deliveries
    assert collect_all(reader) == []


def test_another_reader_begins_with_what_was_not_dropped(store: JsonStore) -> None:
    deliveries = [delivery(row, 700) for row in range(100)]
    put(store, *deliveries)
    reader = DeliveryQueue(store, KEY)
    first = reader.collect()
    assert collect_all(DeliveryQueue(store, KEY)) == deliveries
    assert reader.has_read_pages
    reader.drop_read_pages()
    assert not reader.has_read_pages
    assert collect_all(DeliveryQueue(store, KEY)) == deliveries[len(first) :]
    collect_all(reader)
    reader.drop_read_pages()
    put(store, delivery(100))
    assert collect_all(DeliveryQueue(store, KEY))[-1] == delivery(100)
    assert len(store.values) <= 2, "the number of the last page, and that page"


def test_another_reader_finds_what_filled_a_page_to_its_end(store: JsonStore) -> None:
    put(store, delivery(0, 2 * PAGE_SIZE))
    assert collect_all(DeliveryQueue(store, KEY)) == [delivery(0, 2 * PAGE_SIZE)]


def test_a_store_that_fails_for_a_moment_loses_nothing(store: JsonStore) -> None:
    deliveries = [delivery(row, 700) for row in range(60)]
    put(store, *deliveries)
    reader, collected = DeliveryQueue(store, KEY), []
    for attempt in range(1000):
        store.fails = attempt % 2
        try:
            collected += reader.collect()
        except ConnectionError:
            continue
    assert collected == deliveries


def test_a_page_is_written_again_while_it_is_small(store: JsonStore) -> None:
    put(store, *(delivery(row, 700) for row in range(200)))
    pages = [len(text) for key, text in store.values.items() if key != KEY]
    assert len(pages) > 5
    assert max(pages) < PAGE_SIZE + 2000


@pytest.mark.parametrize("text", ["\0", "\ud800", "ä€😀", '"\\'])
def test_a_payload_may_have_any_character(store: JsonStore, text: str) -> None:
    put(store, QueuedDelivery(1, {"run_id": "run_1", "outputs": {"c": text}}))
    [collected] = DeliveryQueue(store, KEY).collect()
    assert collected.payload["outputs"] == {"c": text}
    assert collected.run_id == "run_1"
