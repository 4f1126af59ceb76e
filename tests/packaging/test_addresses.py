"""One address of the project in all files, and links that work where the README is shown alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_bitscale import PROJECT_URL
from tests.support.packages import ROOT, tracked

FILES = f"{PROJECT_URL}/blob/main/"
PICTURES = f"{PROJECT_URL}/raw/main/"
# Pages that an index or a forge shows; the others are pages of the documentation, built with their links.
TEXTS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)[^)]*\)|(?:href|src)=\"([^\"]+)\"|^\[[^\]]+\]: (\S+)", re.MULTILINE)


def links(text: str) -> list[str]:
    """Return what a page of Markdown links to, pictures too; not what stands in its code."""
    found = _LINK.findall(_FENCED.sub("", text))
    return [first or second or third for first, second, third in found]


def anchors(text: str) -> set[str]:
    """Return the anchors that forges and indexes give to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", text), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "]", heading)) for heading in headings)
    return {f"#{heading.strip().lower().replace(' ', '-')}" for heading in words}


@pytest.mark.parametrize("link", sorted(set(links((ROOT / "README.md").read_text(encoding="utf-8")))))
def test_a_link_of_the_readme_works_on_a_page_of_its_own(link: str) -> None:
    if link.startswith("#"):
        assert link in anchors((ROOT / "README.md").read_text(encoding="utf-8"))
    else:
        assert link.startswith("https://")


@pytest.mark.parametrize("page", TEXTS)
def test_what_is_linked_of_this_repository_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [path for path in _own_files(text) if not (ROOT / path).exists()] == []


def _own_files(text: str) -> Iterator[str]:
    for link in links(text):
        address = link.partition("#")[0]
        for start in (FILES, PICTURES):
            if address.startswith(start):
                yield address.removeprefix(start)
        if address and "://" not in address:
            yield address


def test_the_project_has_one_address() -> None:
    """Several files spell it; none may be forgotten when a real one takes the place of the placeholder."""
    found = {name: set(_placeholders(ROOT / name)) for name in tracked() if (ROOT / name).is_file()}
    assert {name: urls for name, urls in found.items() if urls - {PROJECT_URL}} == {}
    urls = (
        (ROOT / "pyproject.toml")
        .read_text(encoding="utf-8")
        .partition("[project.urls]\n")[2]
        .partition("\n\n")[0]
    )
    assert len(urls.splitlines()) == urls.count(f'"{PROJECT_URL}') > 3


def _placeholders(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8", errors="replace")
    return re.findall(r"https?://[\w.-]*airflow-provider-bitscale[\w-]*\.invalid", text)


def test_links_and_anchors_are_seen() -> None:
    page = (
        '# Two words, *and* `code`\n[a](b.md) ![c](https://x.example/d.svg "e")\n'
        '<img src="f.png">\n[g]: h.md\n```\n[i](j)\n```\n'
    )
    assert links(page) == ["b.md", "https://x.example/d.svg", "f.png", "h.md"]
    assert anchors(page) == {"#two-words-and-code"}
