"""The provider's metadata: valid, complete, and loaded by Airflow without a word."""

from __future__ import annotations

import inspect
import json
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema  # type: ignore[import-untyped, unused-ignore]
import pytest
from airflow.sdk import BaseHook, BaseOperator, BaseOperatorLink, BaseSensorOperator
from airflow.triggers.base import BaseTrigger

import airflow_provider_bitscale
from airflow_provider_bitscale.api import ClientConfig
from airflow_provider_bitscale.api.shared_state.address import url_problem
from airflow_provider_bitscale.hooks.connection_config import OPTIONS

INFO = airflow_provider_bitscale.get_provider_info()
[CONNECTION_TYPE] = INFO["connection-types"]
SCHEMAS = Path(airflow.__file__).parent
# A kind of class, and the key of the metadata that must list the modules with such classes.
KINDS: list[tuple[type, str]] = [
    (BaseHook, "hooks"),
    (BaseSensorOperator, "sensors"),
    (BaseOperator, "operators"),
    (BaseTrigger, "triggers"),
]


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / name).read_text(encoding="utf-8"))


def test_it_is_valid_against_airflows_schema() -> None:
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


def test_its_connection_form_is_valid_against_the_schema_of_airflows_own_providers() -> None:
    path = SCHEMAS / "provider.yaml.schema.json"
    if not path.exists():
        pytest.skip(f"this Airflow ships no {path.name}")
    jsonschema.validate(INFO["connection-types"], schema(path.name)["properties"]["connection-types"])


def test_every_connection_field_has_a_label_a_help_text_and_may_be_left_out() -> None:
    for name, field in CONNECTION_TYPE["conn-fields"].items():
        assert field["label"], name
        assert field["description"], name
        assert "null" in field["schema"]["type"], name
    assert CONNECTION_TYPE["conn-fields"]["webhook_secret"]["schema"]["format"] == "password"


def test_settings_have_the_defaults_of_the_client_and_the_one_with_a_password_is_sensitive() -> None:
    options = INFO["config"]["bitscale"]["options"]
    assert {name for name, option in options.items() if option.get("sensitive")} == {"shared_state_url"}
    given = {name: options[name]["default"] for name in OPTIONS}
    assert float(given.pop("grid_cache_seconds")) == ClientConfig.grid_cache_seconds
    assert given == {"shared_state_url": ""}
    assert url_problem(options["shared_state_url"]["example"]) is None


def test_it_is_found_by_its_entry_point() -> None:
    [found] = entry_points(group="apache_airflow_provider", name="provider_info").select(
        value="airflow_provider_bitscale:get_provider_info"
    )
    assert found.load()() == INFO


def public_classes() -> list[tuple[str, type]]:
    """Every public class of the package that Airflow would want to know of, with its module."""
    modules = [
        import_module(found.name)
        for found in pkgutil.walk_packages(airflow_provider_bitscale.__path__, "airflow_provider_bitscale.")
        if found.name.split(".")[1] not in ("api", "runs", "emulator")
    ]
    return [
        (module.__name__, member)
        for module in modules
        for name, member in inspect.getmembers(module, inspect.isclass)
        if member.__module__ == module.__name__ and name[0] != "_" and not inspect.isabstract(member)
    ]


def test_every_class_is_declared_and_every_declared_module_has_one() -> None:
    found: dict[str, set[str]] = {key: set() for _, key in KINDS}
    for module, member in public_classes():
        key = next((key for kind, key in KINDS if issubclass(member, kind)), None)
        if key:
            found[key].add(module)
    declared = {key: {module for item in INFO[key] for module in item["python-modules"]} for _, key in KINDS}
    assert declared == found


def test_every_link_is_declared() -> None:
    links = [f"{module}.{kind.__name__}" for module, kind in public_classes()
             if issubclass(kind, BaseOperatorLink)]  # fmt: skip
    assert INFO["extra-links"] == links


def test_every_integration_named_is_described() -> None:
    described = {item["integration-name"] for item in INFO["integrations"]}
    assert {item["integration-name"] for _, key in KINDS for item in INFO[key]} == described


LOAD = """
import json, warnings
warnings.simplefilter("default")
from airflow.providers_manager import ProvidersManager

manager = ProvidersManager()
hook = manager.hooks["bitscale"]
prefix = "extra__bitscale__"
print(json.dumps({
    "version": manager.providers["airflow-provider-bitscale"].version,
    "hook": [hook.hook_class_name, hook.hook_name, hook.package_name],
    "fields": sorted(n[len(prefix):] for n in manager.connection_form_widgets if n.startswith(prefix)),
    "behaviour": manager.field_behaviours["bitscale"],
    "links": sorted(n for n in manager.extra_links_class_names if "bitscale" in n),
    "triggers": sorted(i.trigger_class_name for i in manager.trigger if "bitscale" in i.package_name),
}))
"""


def test_airflow_loads_all_of_it_without_a_warning() -> None:
    # In a process of its own: Airflow loads providers once, and says what it thinks of them only then.
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(next(line for line in done.stdout.splitlines() if line.startswith('{"version"')))
    assert loaded["version"] == airflow_provider_bitscale.__version__
    assert loaded["hook"] == [CONNECTION_TYPE["hook-class-name"], "BitScale", "airflow-provider-bitscale"]
    assert loaded["fields"] == sorted(CONNECTION_TYPE["conn-fields"])
    assert loaded["behaviour"]["relabeling"] == {"password": "API key", "host": "Base URL"}
    assert set(loaded["behaviour"]["hidden_fields"]) == {"login", "schema"}
    assert loaded["links"] == INFO["extra-links"]
    assert loaded["triggers"] == sorted(INFO["triggers"][0]["python-modules"])
    noise = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith('{"version"')]
    assert not re.search("bitscale|Inconsistency|Coherence|Exception", "\n".join(noise)), noise
