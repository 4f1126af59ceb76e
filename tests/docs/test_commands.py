"""Commands of the provider that README and docs show are well formed, also those that cannot be run here."""

from __future__ import annotations

import shlex
from argparse import ArgumentError, ArgumentParser
from collections.abc import Iterator
from itertools import takewhile

import pytest

from airflow_provider_bitscale.cli.definition import get_bitscale_commands
from tests.docs.blocks import CONSOLE, PAGES, Block, blocks_of
from tests.docs.session import commands_of

_ENDS_A_COMMAND = ";&|<>()\n"


def shown(block: Block) -> Iterator[list[str]]:
    """Yield the words of each command of ours in a block."""
    script = commands_of(block.text).replace("\\\n", " ")
    lexer = shlex.shlex(script, posix=True, punctuation_chars=_ENDS_A_COMMAND)
    lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t", "", True
    words: list[str] = []
    for token in (*lexer, "\n"):
        if token[0] not in _ENDS_A_COMMAND:
            words.append(token)
            continue
        if words[:2] == ["airflow", "bitscale"]:
            yield list(takewhile(lambda word: not word.startswith("#"), words[2:]))
        words = []


def parse(words: list[str]) -> None:
    """Parse a command as Airflow does; raises SystemExit or ArgumentError where it is wrong."""
    [group] = get_bitscale_commands()
    parser = ArgumentParser(exit_on_error=False)
    commands = parser.add_subparsers(required=True)
    for command in group.subcommands:
        of_command = commands.add_parser(command.name)
        for argument in command.args:
            argument.add_to_parser(of_command)
    parser.parse_args(words)


ALL = [
    (block.place, words)
    for page in PAGES
    for block in blocks_of(page)
    if block.language == CONSOLE
    for words in shown(block)
]


@pytest.mark.parametrize(("place", "words"), ALL, ids=[f"{place} {words[0]}" for place, words in ALL])
def test_a_command_that_is_shown_can_be_parsed(place: str, words: list[str]) -> None:
    parse(words)


@pytest.mark.parametrize("words", [["chekc"], ["run"], ["credits", "--no-such"], ["grids", "--search"]])
def test_a_command_that_is_wrong_is_seen(words: list[str]) -> None:
    with pytest.raises((SystemExit, ArgumentError)):
        parse(words)


def test_commands_are_found_wherever_they_stand() -> None:
    text = (
        "$ cd x; airflow bitscale run g -i 'a b=c'  # a comment\n"
        "$ airflow bitscale grids \\\n  --search x | cat\nout\n"
    )
    assert list(shown(Block("p", 1, CONSOLE, text))) == [
        ["run", "g", "-i", "a b=c"],
        ["grids", "--search", "x"],
    ]
