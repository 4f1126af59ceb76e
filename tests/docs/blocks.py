"""The code blocks of README and docs, with what comments before them say about them.

A comment in front of a block is invisible wherever the page is shown:

- ``<!-- not run: REASON -->``: the block is only parsed. `REASONS` has the reasons that count.
- ``<!-- given: leads = [] -->``: Python that makes the names which the block takes for granted.
- ``<!-- file: dags/leads.py -->``: the block is this file, in the folder in which the page's blocks run.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

PYTHON, CONSOLE, JSON, YAML, INI = "python", "console", "json", "yaml", "ini"
# What is shown and not run: output, drawings, files of other tools.
TEXT, DOCKERFILE = "text", "dockerfile"
LANGUAGES = {PYTHON, CONSOLE, JSON, YAML, INI, TEXT, DOCKERFILE}

NOT_RUN, GIVEN, FILE = "not run", "given", "file"
# Why a block is not run here, and how many such blocks there may be at most.
REASONS = {
    "needs a package index": 12,
    "starts a server": 6,
    "needs a running Airflow": 4,
    "needs containers": 8,
    "needs an account there": 12,
    "asks for a secret": 3,
}

_COMMENT = re.compile(r"<!-- (not run|given|file): (.*?) -->", re.DOTALL)
_DIRECTIVE = re.compile(r"\{([\w-]+)\}(.*)")
_SHOWS_CODE = ("code-block", "code")


@dataclass(frozen=True)
class Block:
    """A code block of a page.

    :param page: its path in the repository.
    :param line: of the page, where its text begins.
    :param tags: what comments before it say.
    """

    page: str
    line: int
    language: str
    text: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where a person finds it."""
        return f"{self.page}:{self.line}"

    @property
    def reason(self) -> str | None:
        """Why it is not run."""
        return self.tags.get(NOT_RUN)


def blocks_of(page: Path) -> list[Block]:
    """Return the code blocks of a page, from top to bottom."""
    return list(blocks_in(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT))))


def blocks_in(text: str, page: str, offset: int = 0) -> Iterator[Block]:
    """Yield the code blocks of a text, those in directives such as ``{note}``, too."""
    tags: dict[str, str] = {}
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "html_block":
            tags |= {match[1]: textwrap.dedent(match[2]) for match in _COMMENT.finditer(token.content)}
        elif token.type == "fence":
            yield from _blocks_of_fence(token, page, offset, tags)
            tags = {}


def _blocks_of_fence(token: Token, page: str, offset: int, tags: dict[str, str]) -> Iterator[Block]:
    line = offset + (token.map or [0])[0] + 2
    directive = _DIRECTIVE.fullmatch(token.info.strip())
    if directive is None:
        yield Block(page, line, token.info.strip(), token.content, tags)
    elif directive[1] in _SHOWS_CODE:
        options = re.match(r"(:[\w-]+:.*\n|\n)*", token.content)
        shown = token.content[options.end() if options else 0 :]
        skipped = token.content.count("\n") - shown.count("\n")
        yield Block(page, line + skipped, directive[2].strip(), shown, tags)
    else:
        yield from blocks_in(token.content, page, line - 1)
