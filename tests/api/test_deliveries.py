"""Webhook deliveries: which are believed, and the one reason why any other is not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_bitscale.api import deliveries
from airflow_provider_bitscale.api.deliveries import (
    MAX_BODY_BYTES,
    DeliveryRefusedError,
    WebhookSettings,
    parse_delivery,
    verify_signature,
    written_delivery,
)
from airflow_provider_bitscale.api.errors import ConfigurationError
from airflow_provider_bitscale.api.models import RunStatus
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.emulator.webhooks import sign
from tests.support.documents import WEBHOOK_RUN as DOCUMENTED

SECRET = "a secret of no connection"
SETTINGS = WebhookSettings(SECRET)
BODY = json.dumps(DOCUMENTED).encode()


def digest(body: bytes = BODY) -> bytes:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).digest()


def headers(body: bytes = BODY, **changes: str | None) -> dict[str, str]:
    """As BitScale sends them, with ``_`` for ``-`` in what changes; None for left out."""
    sent: dict[str, str | None] = {
        "Content-Type": "application/json",
        "X-BitScale-Run-Id": DOCUMENTED["run_id"],
        "X-BitScale-Signature": sign(body, SECRET),
    }
    sent |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in sent.items() if value is not None}


def changed(**fields: Any) -> bytes:
    return json.dumps({**DOCUMENTED, **fields}).encode()


def test_the_documented_delivery_is_the_run() -> None:
    delivery = parse_delivery(headers(), BODY, SETTINGS)
    assert (delivery.run_id, delivery.grid_id) == (DOCUMENTED["run_id"], DOCUMENTED["grid_id"])
    assert delivery.run.status is RunStatus.COMPLETED
    assert delivery.run.outputs == DOCUMENTED["outputs"]
    assert delivery.payload == DOCUMENTED


@pytest.mark.parametrize(
    ("value", "carried"),
    [
        ("a \0 \ud800", "a  \ufffd"),
        (float("nan"), None),
        (float("-inf"), None),
        (10**30, "1" + "0" * 30),
        ({"b\0": ["\udc00"]}, {"b": ["\ufffd"]}),
    ],
    ids=ascii,
)
def test_values_are_made_carriable(value: Any, carried: Any) -> None:
    body = changed(outputs={"c": value}, error="why\0")
    delivery = parse_delivery(headers(body), body, SETTINGS)
    assert delivery.run.outputs == delivery.payload["outputs"] == {"c": carried}
    assert delivery.run.error == "why"


@pytest.mark.parametrize("value", [b"1" * 5_000, b"1e999", b"[" * 70 + b"]" * 70], ids=len)
def test_numbers_of_any_size_and_deep_values_are_carried_too(value: bytes) -> None:
    body = BODY.replace(b'"outputs": {', b'"outputs": {"big": ' + value + b", ", 1)
    outputs = parse_delivery(headers(body), body, SETTINGS).run.outputs
    assert outputs is not None
    json.dumps(outputs, allow_nan=False).encode()


def test_headers_are_known_in_any_case() -> None:
    shouted = {name.upper(): value for name, value in headers().items()}
    assert parse_delivery(shouted, BODY, SETTINGS) == parse_delivery(headers(), BODY, SETTINGS)


HEX, BASE64 = digest().hex(), base64.b64encode(digest()).decode()


@pytest.mark.parametrize(
    ("signature", "options"),
    [
        (HEX, {}),
        (HEX.upper(), {}),
        (f" {HEX} ", {}),
        (BASE64, {}),
        (HEX, {"encoding": "hex"}),
        (BASE64, {"encoding": "base64"}),
        (f"sha256={HEX}", {"prefix": "sha256="}),
        (f"v1={BASE64}", {"prefix": "v1=", "encoding": "base64"}),
    ],
)
def test_a_signature_is_known_as_it_may_be_written(signature: str, options: dict[str, str]) -> None:
    verify_signature(BODY, signature, SECRET, **options)


@pytest.mark.parametrize(
    ("signature", "options", "reason"),
    [
        (None, {}, deliveries.NO_SIGNATURE),
        ("", {}, deliveries.MALFORMED_SIGNATURE),
        ("sha256=" + HEX, {}, deliveries.MALFORMED_SIGNATURE),
        (HEX, {"prefix": "sha256="}, deliveries.MALFORMED_SIGNATURE),
        (HEX, {"encoding": "base64"}, deliveries.MALFORMED_SIGNATURE),
        (BASE64, {"encoding": "hex"}, deliveries.MALFORMED_SIGNATURE),
        (HEX[:-1], {}, deliveries.MALFORMED_SIGNATURE),
        ("ä" * 64, {}, deliveries.MALFORMED_SIGNATURE),
        ("0" * 64, {}, deliveries.WRONG_SIGNATURE),
        (base64.b64encode(bytes(32)).decode(), {}, deliveries.WRONG_SIGNATURE),
        (sign(BODY + b" ", SECRET), {}, deliveries.WRONG_SIGNATURE),
        (sign(BODY, "another secret"), {}, deliveries.WRONG_SIGNATURE),
    ],
)
def test_any_other_signature_is_refused(signature: str | None, options: dict[str, str], reason: str) -> None:
    with pytest.raises(DeliveryRefusedError) as caught:
        verify_signature(BODY, signature, SECRET, **options)
    assert caught.value.code == reason
    assert HEX not in str(caught.value)


REFUSED: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"run_id=run_1", deliveries.NOT_JSON),
    "half of it": (BODY[:-5], deliveries.NOT_JSON),
    "not UTF-8": (b'{"run_id": "\xff"}', deliveries.NOT_A_RUN),
    "an empty list": (b"[]", deliveries.NOT_A_RUN),
    "two runs": (json.dumps([DOCUMENTED] * 2).encode(), deliveries.NOT_A_RUN),
    "nothing": (b"", deliveries.NOT_JSON),
    "so deep that Python gives up": (b'{"a":' + b"[" * 200_000, deliveries.NOT_JSON),
    "no run": (b"{}", deliveries.NOT_A_RUN),
    "a run that goes on": (changed(status="running"), deliveries.NOT_A_RUN),
    "an unknown status": (changed(status="paused"), deliveries.NOT_A_RUN),
    "no grid": (changed(grid_id=None), deliveries.NOT_A_RUN),
    "no run id": (changed(run_id=None), deliveries.NOT_A_RUN),
    "another run": (changed(run_id="run_of_somebody"), deliveries.OTHER_RUN_ID),
    "an id of 5,000 characters": (changed(run_id="r" * 5_000), deliveries.NOT_A_RUN),
    "a grid's of 201": (changed(grid_id="g" * 201), deliveries.NOT_A_RUN),
    "an id with a NUL": (changed(run_id="run\0"), deliveries.NOT_A_RUN),
    "an id with half a character": (changed(grid_id="\ud800"), deliveries.NOT_A_RUN),
    "an id over two lines": (changed(run_id="run_1\nrun_2"), deliveries.NOT_A_RUN),
    "an empty id": (changed(run_id=""), deliveries.NOT_A_RUN),
    "an id that is a number of another run": (changed(run_id=7), deliveries.OTHER_RUN_ID),
    "an id that is none, beside the right one": (
        changed(run_id="run\0", requestId=DOCUMENTED["run_id"]),
        deliveries.NOT_A_RUN,
    ),
    "an id that is true": (changed(run_id=True), deliveries.NOT_A_RUN),
    "an id of 201, wrapped": (
        json.dumps({"data": {**DOCUMENTED, "run_id": "r" * 201}}).encode(),
        deliveries.NOT_A_RUN,
    ),
    "another word for a run that goes on": (changed(status="processing"), deliveries.NOT_A_RUN),
    "10 MB": (b" " * 10_000_000, deliveries.TOO_LARGE),
}


def renamed(**names: str) -> dict[str, Any]:
    """The documented delivery with some of its fields under other names."""
    return {names.get(name, name): value for name, value in DOCUMENTED.items()}


CELLS = [{"column_id": key, "value": value} for key, value in DOCUMENTED["outputs"].items()]
SPELLED: dict[str, Any] = {
    "requestId": renamed(run_id="requestId"),
    "runId, gridId": renamed(run_id="runId", grid_id="gridId"),
    "id": renamed(run_id="id"),
    "wrapped in data": {"data": DOCUMENTED},
    "an event": {"id": "evt_1", "event": "run.completed", "run": DOCUMENTED},
    "a list of one": [DOCUMENTED],
    "another name for the status": renamed(status="state"),
    "upper case": {**DOCUMENTED, "status": "COMPLETED"},
    "success": {**DOCUMENTED, "status": "success"},
    "partially_completed": {**DOCUMENTED, "status": "partially_completed"},
    "a list of cells": {**DOCUMENTED, "outputs": CELLS},
    "result": renamed(outputs="result"),
    "named cells": {
        **DOCUMENTED,
        "outputs": {key: {"name": key, "value": value} for key, value in DOCUMENTED["outputs"].items()},
    },
}


@pytest.mark.parametrize("payload", SPELLED.values(), ids=SPELLED.keys())
def test_a_delivery_is_read_as_answers_are_however_it_is_spelled(payload: Any) -> None:
    body = json.dumps(payload).encode()
    delivery = parse_delivery(headers(body), body, SETTINGS)
    documented = parse_delivery(headers(), BODY, SETTINGS)
    assert replace(delivery.run, output_names={}) == documented.run
    assert delivery.run.unexpected
    # Whoever is told reads the payload.
    told = parse_run(json.loads(json.dumps(delivery.payload)))
    assert told == delivery.run
    assert (delivery.run_id, delivery.grid_id) == (told.run_id, told.grid_id)


def test_an_id_that_is_a_number_is_read_as_text() -> None:
    body = changed(run_id=10**30, grid_id=7)
    delivery = parse_delivery(headers(body, X_BitScale_Run_Id=f"1{'0' * 30}"), body, SETTINGS)
    assert (delivery.run_id, delivery.grid_id) == (f"1{'0' * 30}", "7")
    assert (delivery.payload["run_id"], delivery.payload["grid_id"]) == (delivery.run_id, "7")


@pytest.mark.parametrize("status", ["FAILED", "error", "cancelled"])
def test_a_failed_run_is_delivered_with_what_failed(status: str) -> None:
    body = changed(status=status, outputs=None, message="no credits")
    delivery = parse_delivery(headers(body), body, SETTINGS)
    assert (delivery.run.status, delivery.run.error) == (RunStatus.FAILED, "no credits")
    assert parse_run(delivery.payload) == delivery.run


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_rightly_signed_may_still_be_nothing_to_go_by(body: bytes, reason: str) -> None:
    with pytest.raises(DeliveryRefusedError) as caught:
        parse_delivery(headers(body), body, SETTINGS)
    assert caught.value.code == reason


@pytest.mark.parametrize("body", [BODY, *(body for body, reason in REFUSED.values() if len(body) < 1e6)])
def test_what_is_wrongly_signed_is_not_read(body: bytes) -> None:
    with pytest.raises(DeliveryRefusedError) as caught:
        parse_delivery(headers(body, X_BitScale_Signature="0" * 64), body, SETTINGS)
    assert caught.value.code == deliveries.WRONG_SIGNATURE


def test_a_delivery_without_its_run_id_in_the_header_is_refused() -> None:
    with pytest.raises(DeliveryRefusedError) as caught:
        parse_delivery(headers(X_BitScale_Run_Id=None), BODY, SETTINGS)
    assert caught.value.code == deliveries.OTHER_RUN_ID


def test_the_largest_body_is_read() -> None:
    body = BODY + b" " * (MAX_BODY_BYTES - len(BODY))
    assert parse_delivery(headers(body), body, SETTINGS).run_id == DOCUMENTED["run_id"]


def test_a_signature_may_be_in_another_header() -> None:
    settings = WebhookSettings(SECRET, signature_header="X-Signature", signature_prefix="v1=")
    sent = headers(X_BitScale_Signature=None, X_Signature=f"v1={BASE64}")
    assert parse_delivery(sent, BODY, settings).run_id == DOCUMENTED["run_id"]


def test_settings_name_all_that_is_wrong_and_no_secret() -> None:
    with pytest.raises(ConfigurationError) as caught:
        WebhookSettings("", "no header", signature_encoding="rot13")
    for name in ("webhook_secret", "webhook_signature_header", "webhook_signature_encoding"):
        assert name in caught.value.message
    assert SECRET not in repr(SETTINGS)


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        WebhookSettings(SECRET, signature_encoding="hex"),
        WebhookSettings(SECRET, signature_encoding="base64", signature_prefix="v1="),
        WebhookSettings(SECRET, signature_header="X-Other", signature_prefix="sha256="),
    ],
    ids=str,
)
def test_a_delivery_that_is_written_here_is_believed_here(settings: WebhookSettings) -> None:
    run = parse_run(DOCUMENTED)
    written, body = written_delivery(run, settings)
    assert parse_delivery(written, body, settings).run == run
