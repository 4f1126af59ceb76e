"""The names, arguments and shapes that users rely on, each pinned once."""

from __future__ import annotations

import inspect
import json
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest

from airflow_provider_bitscale import api
from airflow_provider_bitscale.batch.options import OnAmbiguousRow
from airflow_provider_bitscale.batch.table.storage import OutputFormat
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.hooks.connection_config import EXTRA_FIELDS
from airflow_provider_bitscale.operators.run_waiter import ADDRESS_XCOM
from airflow_provider_bitscale.provider_info import PROVIDER_INFO
from airflow_provider_bitscale.runs.options import Mode, OnAmbiguousSubmit, OutputKey
from airflow_provider_bitscale.runs.run_record import (
    ADOPT_KEY,
    COLLECTED,
    INTENT,
    RUN_KEY,
    SUBMITTED,
    UNREADABLE,
)
from airflow_provider_bitscale.webhooks.callback_token import ADDRESS_FIELDS
from tests.support.batches import EMAIL, Batch, people
from tests.support.task_runs import recreated

PACKAGE = "airflow_provider_bitscale"
REQUIRED = inspect.Parameter.empty
CONN = {"bitscale_conn_id": "bitscale_default"}
SENSOR = {**CONN, "deferrable": None}

# Class: its constructor's arguments with their defaults, and whether they are keyword-only. What is not named
# is handed on to Airflow's base classes.
CONSTRUCTORS: dict[str, tuple[dict[str, Any], bool]] = {
    "hooks.bitscale.BitScaleHook": (CONN, False),
    "operators.run_grid.RunGridOperator": (
        {
            "grid_id": REQUIRED,
            "inputs": REQUIRED,
            "output_columns": None,
            "mode": "async",
            "webhook_url": None,
            "trust_webhook": False,
            "wait_for_completion": True,
            "deferrable": None,
            "poll_interval": 5,
            "timeout": 3600,
            "min_credits": None,
            "validate_inputs": True,
            "miss_values": (),
            "key_outputs_by": "name",
            "on_ambiguous_submit": "fail",
            **CONN,
        },
        True,
    ),
    "operators.run_grid_batch.RunGridBatchOperator": (
        {
            "grid_id": REQUIRED,
            "rows": None,
            "rows_path": None,
            "retry_failed_from": None,
            "collect_unknown_from": None,
            "output_path": None,
            "input_fields": None,
            "output_columns": None,
            "row_key": None,
            "mode": "async",
            "webhook_url": None,
            "trust_webhook": False,
            "max_credits": None,
            "max_failed_rows": "10%",
            "fail_when_incomplete": True,
            "max_in_flight": None,
            "run_timeout": 3600,
            "batch_timeout": None,
            "segment_size": 500,
            "output_format": "jsonl",
            "csv_escape_formulas": False,
            "null_values": None,
            "miss_values": (),
            "on_ambiguous_submit": "park",
            **CONN,
        },
        True,
    ),
    "operators.collect_undelivered.CollectUndeliveredOperator": (
        {
            "grid_id": REQUIRED,
            "webhook_url": REQUIRED,
            "undelivered_for": timedelta(minutes=15),
            **CONN,
        },
        True,
    ),
    "triggers.run_completed.RunCompletedTrigger": (
        {
            **dict.fromkeys(("bitscale_conn_id", "grid_id", "run_id", "poll_interval", "deadline"), REQUIRED),
            "give_up_at": None,
            "delivery_address": None,
            "trust_webhook": False,
            "submitted_at": None,
        },
        True,
    ),
    "triggers.credits.CreditsTrigger": (
        {
            **dict.fromkeys(
                ("bitscale_conn_id", "workspace_id", "min_credits", "poll_interval", "deadline"), REQUIRED
            ),
            "give_up_at": None,
        },
        True,
    ),
    "sensors.run_completed.RunCompletedSensor": (
        {
            "grid_id": REQUIRED,
            "run_id": REQUIRED,
            "delivery_address": None,
            "trust_webhook": False,
            "miss_values": (),
            "key_outputs_by": "name",
            "poke_interval": 5,
            **SENSOR,
        },
        True,
    ),
    "sensors.credits.CreditsSensor": ({"min_credits": REQUIRED, "workspace_id": None, **SENSOR}, True),
}

TEMPLATE_FIELDS = {
    "operators.run_grid.RunGridOperator": {
        "grid_id", "inputs", "output_columns", "webhook_url", "bitscale_conn_id",
    },
    "operators.run_grid_batch.RunGridBatchOperator": {
        "grid_id", "rows", "rows_path", "retry_failed_from", "collect_unknown_from", "output_path",
        "output_columns", "webhook_url", "max_credits", "bitscale_conn_id",
    },
    "operators.collect_undelivered.CollectUndeliveredOperator": {"webhook_url"},
    "sensors.run_completed.RunCompletedSensor": {"grid_id", "run_id", "delivery_address", "bitscale_conn_id"},
    "sensors.credits.CreditsSensor": {"workspace_id", "bitscale_conn_id"},
}  # fmt: skip

HOOK_METHODS = {
    "get_current_user": "()",
    "list_workspaces": "()",
    "get_workspace": "(workspace_id=None)",
    "list_grids": "(search=None, workspace_id=None)",
    "get_grid": "(grid_id)",
    "get_run_recipe": "(grid_id, output_columns=None)",
    "run_grid": (
        "(grid_id, inputs, *, mode='async', output_columns=None, webhook_url=None, timeout=None, recipe=None)"
    ),
    "get_run": "(grid_id, run_id)",
    "wait_for_run": "(grid_id, run_id, *, poll_interval=5, timeout=3600)",
    "rotate_api_key": "()",
    "test_connection": "()",
}

# Extra fields of a connection: those of the form, from top to bottom, and those that few need.
FORM_FIELDS = [
    "workspace_id", "api_contract", "requests_per_minute", "timeout", "webhook_secret", "proxies", "verify",
    "allow_insecure_http",
]  # fmt: skip
ONLY_IN_JSON = {"webhook_signature_header", "webhook_signature_prefix", "webhook_signature_encoding"}

# Of RunGridBatchOperator: what it returns, what its parts add to a row, and its keys in the task state store.
MANIFEST = {
    "batch_id", "grid_id", "rows", "counts", "credits", "runs_without_credits", "stopped_by", "parts",
    "manifest_path", "format", "inputs", "null_values", "csv_escape_formulas", "output_names", "started_at",
    "finished_at", "seconds",
}  # fmt: skip
COUNTS = ("succeeded", "failed", "unknown", "not_submitted", "duplicate")
OWN_FIELDS = {"_status", "_run_id", "_credits", "_error"}
BATCH_KEYS = {"bitscale_batch", "bitscale_batch_progress"}

API_NAMES = {
    "AsyncClient", "Client", "ClientConfig",
    "Column", "ColumnType", "Credits", "Grid", "GridSettings", "Members", "Plan", "Run", "RunCredits",
    "RunRecipe", "RunStatus",
    "User", "Workspace",
    "AmbiguousSubmitError", "AuthenticationError", "BitScaleError", "ConfigurationError",
    "FeatureDisabledError", "InsufficientCreditsError", "InvalidRequestError", "MissingSourceError",
    "NotFoundError", "PermissionDeniedError",
    "RateLimitedError", "RunFailedError", "RunLimitExceededError", "RunTimedOutError", "ServerError",
    "TransportError", "UnreadableAcceptanceError", "UnreadableOutputsError", "UnsupportedError",
    "Delivery", "DeliveryRefusedError", "WebhookSettings", "parse_delivery", "verify_signature",
}  # fmt: skip


def load(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(f"{PACKAGE}.{module}"), name)


def own_arguments(kind: type) -> dict[str, inspect.Parameter]:
    """The arguments that the constructor of a class names itself, as an editor shows them."""
    parameters = inspect.signature(inspect.unwrap(vars(kind)["__init__"])).parameters.values()
    return {p.name: p for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD}


@pytest.mark.parametrize("path", CONSTRUCTORS)
def test_constructor_arguments_and_defaults(path: str) -> None:
    expected, keyword_only = CONSTRUCTORS[path]
    arguments = own_arguments(load(path))
    assert {name: argument.default for name, argument in arguments.items()} == expected
    if keyword_only:
        assert {argument.kind for argument in arguments.values()} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("path", TEMPLATE_FIELDS)
def test_template_fields_are_arguments_kept_under_their_own_name(path: str) -> None:
    kind = load(path)
    assert set(kind.template_fields) == TEMPLATE_FIELDS[path]
    assert TEMPLATE_FIELDS[path] <= set(own_arguments(kind))


@pytest.mark.parametrize("name", HOOK_METHODS)
def test_hook_methods_and_their_async_twins_take_the_same(name: str) -> None:
    hook = load("hooks.bitscale.BitScaleHook")
    method, twin = getattr(hook, name), getattr(hook, f"a{name}")
    assert _untyped(method) == _untyped(twin) == HOOK_METHODS[name]
    assert inspect.iscoroutinefunction(twin)
    assert not inspect.iscoroutinefunction(method)


def _untyped(method: Any) -> str:
    signature = inspect.signature(method)
    parameters = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name != "self"]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


@pytest.mark.parametrize("path", [path for path in CONSTRUCTORS if path.startswith("triggers.")])
def test_triggers_are_rebuilt_from_their_class_path_and_json(path: str) -> None:
    arguments = {
        "bitscale_conn_id": "c", "grid_id": "g", "run_id": "r", "workspace_id": None,
        "min_credits": 5, "poll_interval": 2.5, "deadline": 1234567890.25, "give_up_at": 1234567891.5,
        "delivery_address": {
            "dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "key": "k",
            "bitscale_conn_id": "c",
        },
        "trust_webhook": True, "submitted_at": 1234567889.5,
    }  # fmt: skip
    wanted = {name: arguments[name] for name in CONSTRUCTORS[path][0]}
    trigger = load(path)(**wanted)
    assert trigger.serialize() == (f"{PACKAGE}.{path}", wanted)
    assert json.loads(json.dumps(wanted)) == wanted
    assert recreated(trigger).serialize() == trigger.serialize()


@pytest.mark.parametrize("contract", ["v1.1.0"])
def test_what_a_batch_returns_writes_and_keeps(emulator: Emulator, tmp_path: Path) -> None:
    returned = Batch(rows=people(1), mode="sync")
    manifest = returned.attempt()
    assert set(manifest) == {*MANIFEST, "results"}
    assert tuple(manifest["counts"]) == COUNTS
    assert set(manifest["results"][0]) == {*people(1)[0], EMAIL, *OWN_FIELDS}
    kept = Batch(rows=people(1), mode="sync", output_path=f"file://{tmp_path}")
    manifest = kept.attempt()
    assert set(manifest) == MANIFEST
    folder, batch_id = f"file://{tmp_path}", manifest["batch_id"]
    assert manifest["parts"] == [f"{folder}/{batch_id}-part-00000.jsonl"]
    assert manifest["manifest_path"] == f"{folder}/{batch_id}-manifest.json"
    assert set(kept.store.values) == {*BATCH_KEYS, f"bitscale_batch_{batch_id}_finished_0000"}


def test_what_a_single_run_keeps() -> None:
    assert {RUN_KEY, ADOPT_KEY} == {"bitscale_run", "bitscale_adopt_run_id"}
    assert {INTENT, UNREADABLE, SUBMITTED, COLLECTED} == {"intent", "unreadable", "submitted", "collected"}


def test_what_a_submitted_run_hands_to_a_sensor() -> None:
    assert ADDRESS_XCOM == "delivery_address"
    assert ADDRESS_FIELDS == (
        "dag_id",
        "run_id",
        "task_id",
        "map_index",
        "key",
        "bitscale_conn_id",
    )


@pytest.mark.parametrize(
    ("literal", "values"),
    [
        (Mode, ("async", "sync")),
        (OutputKey, ("name", "id")),
        (OnAmbiguousSubmit, ("fail", "resubmit")),
        (OnAmbiguousRow, ("park", "resubmit")),
        (OutputFormat, ("jsonl", "csv")),
    ],
)
def test_values_of_the_arguments_that_have_few(literal: Any, values: tuple[str, ...]) -> None:
    assert get_args(literal) == values


def test_connection_type_and_fields() -> None:
    hook = load("hooks.bitscale.BitScaleHook")
    [connection_type] = PROVIDER_INFO["connection-types"]
    assert (hook.conn_type, hook.default_conn_name, hook.conn_name_attr, hook.hook_name) == (
        "bitscale",
        "bitscale_default",
        "bitscale_conn_id",
        "BitScale",
    )
    assert connection_type["connection-type"] == hook.conn_type
    assert connection_type["hook-name"] == hook.hook_name
    assert list(connection_type["conn-fields"]) == FORM_FIELDS
    assert set(EXTRA_FIELDS) == {*FORM_FIELDS, *ONLY_IN_JSON}


def test_the_api_package_exports_these_names_and_no_others() -> None:
    assert set(api.__all__) == API_NAMES
    assert {name for name in API_NAMES if getattr(api, name, None) is None} == set()
    with pytest.raises(AttributeError):
        api.no_such_name  # noqa: B018


@pytest.mark.parametrize("name", [name for name in sorted(API_NAMES) if name.endswith("Error")])
def test_every_error_is_in_the_tree_and_carries_its_facts(name: str) -> None:
    kind = getattr(api, name)
    assert issubclass(kind, api.BitScaleError)
    facts = {"status": 418, "code": "TEAPOT", "request": "GET /tea", "retry_after": 2.5}
    error = kind("no coffee", **facts)
    assert {key: getattr(error, key) for key in ("message", *facts)} == {"message": "no coffee", **facts}
    assert str(error) == "GET /tea: 418 TEAPOT: no coffee"
