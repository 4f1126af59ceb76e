"""Every public name is on the built pages, with what its docstring says, and no markup is left in it."""

from __future__ import annotations

import html
import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale import api, emulator, exceptions
from airflow_provider_bitscale.provider_info import PROVIDER_INFO
from tests.docs.blocks import ROOT
from tests.docs.session import reader_environment

PACKAGE = "airflow_provider_bitscale"
MARKUP = r"``|:(?:class|meth|func|mod|attr|exc|param|raises|returns?|ref|doc):|\{[\w-]+\}`|^:::|^\.\. |\]\("
pytest.importorskip("sphinx", reason="Sphinx is not installed: it comes with the dependency group docs")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("pages")
    options = ["-W", "--keep-going", "-q", "-b", "html", "-d", str(folder / "trees")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(folder / "html")],
        env=reader_environment(folder, ""),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def inventory(pages: Path) -> dict[str, str]:
    """Where each documented name is, by its full name."""
    from sphinx.util.inventory import InventoryFile

    content = (pages / "objects.inv").read_bytes()
    found = InventoryFile.loads(content, uri="").data
    return {
        name: item.uri
        for kind, items in found.items()
        if kind.startswith("py:")
        for name, item in items.items()
    }


def public_names() -> set[str]:
    """Return the full names of all that users may import, by what the package itself says."""
    names = {f"{PACKAGE}.api.{name}" for name in api.__all__}
    names |= {f"{PACKAGE}.emulator.{name}" for name in emulator.__all__}
    names |= {f"{PACKAGE}.exceptions.{name}" for name, _ in _own_classes(exceptions)}
    listed = ("hooks", "operators", "sensors", "triggers")
    for module_name in (
        name for kind in listed for part in PROVIDER_INFO[kind] for name in part["python-modules"]
    ):
        module = import_module(module_name)
        names |= {f"{module_name}.{name}" for name, _ in _own_classes(module)}
    assets = f"{PACKAGE}.webhooks.assets"
    return names | {f"{assets}.bitscale_run_asset", f"{assets}.deliveries_from"}


def _own_classes(module: Any) -> list[tuple[str, type]]:
    return [
        (name, kind)
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__ and not name.startswith("_")
    ]


def test_every_public_name_has_its_place(inventory: dict[str, str]) -> None:
    names = public_names()
    assert len(names) > 70
    assert names - set(inventory) == set()


def test_every_method_of_the_hook_and_of_the_emulator_has_its_place(inventory: dict[str, str]) -> None:
    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook

    of_hook = {f"{PACKAGE}.hooks.bitscale.BitScaleHook.{name}" for name in _own_methods(BitScaleHook)}
    of_control = {
        f"{PACKAGE}.emulator.EmulatorControl.{name}" for name in _own_methods(emulator.EmulatorControl)
    }
    assert len(of_hook) > 20
    assert {f"{PACKAGE}.emulator.EmulatorControl.add_fault"} <= of_control
    assert (of_hook | of_control) - set(inventory) == set()


def _own_methods(kind: type) -> set[str]:
    return {
        name for name, each in vars(kind).items() if inspect.isfunction(each) and not name.startswith("_")
    }


def test_a_page_has_what_its_docstring_says(pages: Path) -> None:
    text = shown(pages / "reference" / "operators.html").replace("\N{EN DASH}", "-")
    assert "max_credits (float | None) - submit only as long as" in text
    assert "mode (Literal['async', 'sync']) -" in text
    assert "Templated are grid_id, inputs, output_columns, webhook_url, bitscale_conn_id." in text
    assert "output_format (Literal['jsonl', 'csv']) -" in text


def test_no_markup_is_left_in_what_is_shown(pages: Path) -> None:
    left = {
        f"{page.relative_to(pages)}: {found}"
        for page in pages.rglob("*.html")
        for found in re.findall(rf"(?:{MARKUP}).{{0,40}}", shown(page), re.MULTILINE)
    }
    assert left == set()


def shown(page: Path) -> str:
    """Return what a reader sees of a page, without code blocks."""
    content = page.read_text(encoding="utf-8").partition("<article")[2].partition("</article>")[0]
    content = re.sub(r'<div class="highlight">.*?</div>', "", content, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", content))


def test_the_life_of_a_row_is_shown_as_the_code_has_it(pages: Path) -> None:
    from airflow_provider_bitscale.batch.plan.batch_row import State
    from airflow_provider_bitscale.batch.plan.lifecycle import TRANSITIONS, Event

    text = shown(pages / "architecture.html")
    assert all(state.name in text and state.value[1:] in text for state in State)
    assert all(event.name in text and event.value[1:] in text for event in Event)
    rows = re.findall(r"<tr", (pages / "architecture.html").read_text(encoding="utf-8"))
    assert len(rows) >= sum(len(by_event) for by_event in TRANSITIONS.values())


def test_pages_ask_nothing_of_other_machines(pages: Path) -> None:
    loaded = {
        found
        for page in pages.rglob("*.html")
        for found in re.findall(
            r'<(?:script|img|iframe|link)[^>]+(?:src|href)="(?:https?:)?//[^"]+"',
            page.read_text(encoding="utf-8"),
        )
    }
    assert loaded == set()
