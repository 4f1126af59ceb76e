"""What README and docs show runs: every code block, from the top of each page to its bottom."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.docs.blocks import LANGUAGES, PAGES, REASONS, ROOT, blocks_of
from tests.docs.session import PageSession

BLOCKS = {str(page.relative_to(ROOT)): blocks_of(page) for page in PAGES}
ALL = [block for blocks in BLOCKS.values() for block in blocks]


@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if blocks])
def test_the_blocks_of_a_page_run(
    page: str, page_session: PageSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    try:
        for block in BLOCKS[page]:
            page_session.run(block)
    finally:
        # What a page's Python has set is its own.
        os.environ.clear()
        os.environ.update(before)


def test_each_block_says_what_it_is() -> None:
    assert [block.place for block in ALL if block.language not in LANGUAGES] == []


def test_only_so_many_are_not_run_and_each_for_a_reason() -> None:
    counts = Counter(block.reason for block in ALL if block.reason is not None)
    assert {reason: count for reason, count in counts.items() if count > REASONS.get(reason, 0)} == {}
