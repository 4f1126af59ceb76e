"""Settings, extras and files that README and docs name: they exist."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_bitscale.hooks.connection_config import EXTRA_FIELDS
from airflow_provider_bitscale.provider_info import PROVIDER_INFO
from tests.docs.blocks import INI, PAGES, ROOT, blocks_of

_VARIABLE = re.compile(r"\bAIRFLOW__([A-Z0-9_]+?)__([A-Z0-9_]+?)(?:_CMD|_SECRET)?\b")
_IN_WORDS = re.compile(r"`\[(\w+)\] (\w+)`")
_EXTRAS = re.compile(r"airflow-provider-bitscale\[([\w,-]+)\]")


def settings_named(page: Path) -> Iterator[tuple[str, str]]:
    """Yield section and option of each setting that a page names."""
    text = page.read_text(encoding="utf-8")
    yield from ((section.lower(), option.lower()) for section, option in _VARIABLE.findall(text))
    yield from _IN_WORDS.findall(text)
    for block in blocks_of(page):
        if block.language == INI:
            parser = configparser.ConfigParser(interpolation=None)
            parser.read_string(block.text)
            yield from ((section, option) for section in parser.sections() for option in parser[section])


def known_settings() -> set[tuple[str, str]]:
    """Return section and option of all settings of Airflow and the providers that are installed."""
    from airflow.configuration import conf

    described = conf.configuration_description
    return {
        (section.lower().replace(".", "_"), option.lower())
        for section, content in described.items()
        for option in content["options"]
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_setting_that_is_named_exists(page: Path) -> None:
    # Written as a command or a secret, it ends with that word.
    known = known_settings()
    ends = ("_cmd", "_secret")
    known |= {(section, option + end) for section, option in known for end in ends}
    assert set(settings_named(page)) - known == set()


def test_settings_are_found(tmp_path: Path) -> None:
    page = ROOT / "docs" / "no-such-page.md"
    assert _VARIABLE.findall("AIRFLOW__BITSCALE__SHARED_STATE_URL_CMD=x") == [
        ("BITSCALE", "SHARED_STATE_URL")
    ]
    assert not page.exists()
    assert ("bitscale", "shared_state_url") in known_settings()
    assert ("operators", "default_deferrable") in known_settings()
    assert {setting for page in PAGES for setting in settings_named(page)} >= {
        ("bitscale", "shared_state_url"),
        ("core", "test_connection"),
    }


def test_every_setting_and_every_field_of_a_connection_is_told() -> None:
    connection = (ROOT / "docs" / "connection.md").read_text(encoding="utf-8")
    assert [name for name in EXTRA_FIELDS if f"| `{name}` |" not in connection] == []
    [options] = [content["options"] for content in PROVIDER_INFO["config"].values()]
    told = {option for page in PAGES for section, option in settings_named(page) if section == "bitscale"}
    assert set(options) - told == set()


def test_an_extra_that_is_named_exists() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    extras = set(re.findall(r"^([\w-]+) = \[", section, re.MULTILINE))
    named = {
        extra
        for page in PAGES
        for found in _EXTRAS.findall(page.read_text(encoding="utf-8"))
        for extra in found.split(",")
    }
    assert "redis" in named
    assert named <= extras
