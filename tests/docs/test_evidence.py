"""What happens when …: each line names tests that show it, and pytest finds them."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.docs.blocks import PAGES, ROOT

_LINK = re.compile(r"<test:([\w/.]+)#(\w+)>")
_PAGE = ROOT / "docs" / "what-happens.md"


def test_each_line_names_a_test() -> None:
    lines = re.split(r"^(?=- )", _PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert len(lines) > 50
    assert [line for line in lines if not _LINK.search(line)] == []


def test_pytest_finds_each_test_that_is_named() -> None:
    named = {link for page in PAGES for link in _LINK.findall(page.read_text(encoding="utf-8"))}
    missing = {(file, name) for file, name in named if not (ROOT / "tests" / file).exists()}
    assert not missing

    ids = [f"tests/{file}::{name}" for file, name in sorted(named)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider", *ids],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
