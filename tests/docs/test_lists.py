"""Lists on pages are whole: each example, and each key that Airflow keeps for the provider."""

from __future__ import annotations

import re

from tests.docs.blocks import ROOT

PACKAGE = ROOT / "airflow_provider_bitscale"
# A constant with the name of a key, or what such names look like.
_KEY = re.compile(
    r'^_?[A-Z_]*(?:KEY|MARK|BACKLOG) = (?:re\.compile\()?[rf]?"(bitscale_[a-z_]*[a-z])', re.MULTILINE
)


def test_each_example_is_told_of() -> None:
    examples = {file.stem for file in PACKAGE.glob("example_dags/bitscale_*.py")}
    page = (ROOT / "docs" / "how-to" / "index.md").read_text(encoding="utf-8")
    assert examples
    assert set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE)) == examples


def test_each_key_in_a_store_of_airflow_is_told_of() -> None:
    keys = {key for file in PACKAGE.rglob("*.py") for key in _KEY.findall(file.read_text(encoding="utf-8"))}
    page = (ROOT / "docs" / "data-kept.md").read_text(encoding="utf-8")
    assert keys >= {"bitscale_run", "bitscale_batch", "bitscale_delivery", "bitscale_undelivered"}
    assert {key for key in keys if f"`{key}" not in page} == set()
