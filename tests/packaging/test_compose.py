"""The compose file, as far as a machine without containers can tell: its form, its settings, its commands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from tests.support.compose import FILE, compose, variables_needed

# By the Compose specification; those that this file has a use for.
_TOP = {"name", "services", "volumes"}
_SERVICE = {
    *("image", "build", "entrypoint", "command", "environment", "volumes", "ports", "depends_on"),
    *("healthcheck", "restart", "deploy", "stop_grace_period"),
}
_HEALTH = {"test", "interval", "timeout", "retries", "start_period"}
_RESTART = {"no", "always", "on-failure", "unless-stopped"}
_DURATION = re.compile(r"(\d+(ms|s|m|h))+")
_PORT = re.compile(r"127\.0\.0\.1:\d+:\d+")

DOCUMENT = compose(dict.fromkeys(variables_needed(), "x"))
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
AIRFLOW = sorted(name for name, service in SERVICES.items() if "AIRFLOW__CORE__EXECUTOR" in str(service))


def test_the_document_has_what_the_specification_knows() -> None:
    assert {key for key in DOCUMENT if not key.startswith("x-")} == _TOP
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", DOCUMENT["name"])
    assert AIRFLOW == ["api-server", "dag-processor", "migrate", "scheduler", "triggerer", "worker"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_what_the_specification_knows(name: str) -> None:
    service = SERVICES[name]
    assert set(service) <= _SERVICE
    assert re.fullmatch(r"[a-z][a-z/-]*(:[\w.-]+)?", service["image"]), "no host in front"
    assert service["restart"] in _RESTART
    assert all(isinstance(value, str) for value in service.get("environment", {}).values())
    assert all(
        isinstance(word, str) for word in (*service.get("command", ()), *service.get("entrypoint", ()))
    )
    assert all(_PORT.fullmatch(port) for port in service.get("ports", ())), "published on this machine alone"
    for volume in service.get("volumes", ()):
        source = volume.partition(":")[0]
        assert source in DOCUMENT["volumes"] or source.startswith("./")
    health = service.get("healthcheck", {})
    assert set(health) <= _HEALTH
    assert health.get("test", ["CMD"])[0] == "CMD"
    times = (*(health.get(key, "1s") for key in ("interval", "timeout", "start_period")),)
    assert all(_DURATION.fullmatch(each) for each in (*times, service.get("stop_grace_period", "1s")))


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_is_there_and_can_be_waited_for(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[needed]
        else:
            assert how["condition"] == "service_completed_successfully"
            assert SERVICES[needed]["restart"] == "no"


def test_hosts_that_are_named_are_services() -> None:
    text = json.dumps({name: service.get("environment") for name, service in SERVICES.items()})
    hosts = {urlsplit(url).hostname for url in re.findall(r"\w[\w+]*://[^\s\"\\]+", text)}
    assert hosts == {"api-server", "bitscale", "postgres", "redis"}


@pytest.mark.parametrize("name", AIRFLOW)
def test_a_setting_exists(name: str) -> None:
    from airflow.configuration import conf

    known = {
        f"AIRFLOW__{section.upper()}__{option.upper()}"
        for section, content in conf.configuration_description.items()
        for option in content["options"]
    }
    ours = {variable for variable in SERVICES[name]["environment"] if variable.startswith("AIRFLOW__")}
    assert ours - known == set()
    assert "AIRFLOW__BITSCALE__SHARED_STATE_URL" in ours


@pytest.mark.parametrize("name", AIRFLOW)
def test_airflow_knows_its_commands(name: str) -> None:
    from airflow.cli.cli_parser import get_parser

    check = SERVICES[name].get("healthcheck", {}).get("test", [])
    commands = [SERVICES[name]["command"], *([check[2:]] if check[1:2] == ["airflow"] else [])]
    for command in commands:
        assert callable(get_parser().parse_args(command).func), command


def test_the_secrets_that_the_page_makes_are_those_it_needs() -> None:
    page = FILE.parents[1].joinpath("compose.md").read_text(encoding="utf-8")
    assert variables_needed() == set(re.findall(r"([A-Z_]+)=\{", page))


def test_the_local_bitscale_starts_and_answers_over_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    service, environment = SERVICES["bitscale"], SERVICES["worker"]["environment"]
    connection = json.loads(environment["AIRFLOW_CONN_BITSCALE_EXAMPLE"])
    assert json.loads(environment["AIRFLOW_CONN_BITSCALE_DEFAULT"]) == connection
    address = urlsplit(connection["host"])
    assert (address.hostname, str(address.port)) == ("bitscale", service["command"][3])

    # Any free port of this machine in place of a container's own.
    python, *module = service["entrypoint"]
    assert python == service["healthcheck"]["test"][1] == "python"
    command = [sys.executable, *module, *service["command"], "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            base_url = process.stdout.readline().split()[-1]
            check = service["healthcheck"]["test"][3].replace(
                "http://127.0.0.1:8765", base_url.removesuffix(address.path)
            )
            subprocess.run((sys.executable, "-c", check), check=True, timeout=60)
            monkeypatch.setenv("AIRFLOW_CONN_COMPOSE", json.dumps({**connection, "host": base_url}))
            assert BitScaleHook("compose").get_grid("grid_001").columns
        finally:
            process.terminate()
