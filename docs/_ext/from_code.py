"""The directive ``{from-code} NAME``: text that is made of the code when the pages are built."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from airflow_provider_bitscale.batch.plan.batch_row import State
from airflow_provider_bitscale.batch.plan.lifecycle import TRANSITIONS, Event
from airflow_provider_bitscale.cli.definition import get_bitscale_commands
from airflow_provider_bitscale.emulator.settings import Settings
from airflow_provider_bitscale.provider_info import PROVIDER_INFO


def states() -> str:
    """Return the states of a row of a batch, as a table."""
    return _table(("State", "Means"), [(f"`{state.name}`", _sentence(state.value)) for state in State])


def transitions() -> str:
    """Return for each state and event where it leads, and what follows."""
    rows = [
        (
            f"`{state.name}`",
            f"`{event.name}`: {event.value}",
            f"`{transition.to.name}`",
            "; ".join((*transition.planned, *transition.written)) or "nothing else",
        )
        for state, by_event in TRANSITIONS.items()
        for event, transition in by_event.items()
    ]
    return _table(("From", "When", "To", "What follows"), rows)


def events() -> str:
    """Return what may happen to a row of a batch, as a table."""
    return _table(("Event", "Means"), [(f"`{event.name}`", _sentence(event.value)) for event in Event])


def emulator_settings() -> str:
    """Return the settings of the local BitScale, as a table."""
    fields = Settings.__pydantic_fields__  # type: ignore[attr-defined]
    rows = [
        (f"`{name}`", f"`{field.default!r}`", _one_line(field.description)) for name, field in fields.items()
    ]
    return _table(("Setting", "Default", "Meaning"), rows)


def settings() -> str:
    """Return the settings of the provider, as a table."""
    return _table(
        ("Setting", "Default", "Meaning"),
        [
            (
                f"`[{section}] {name}`",
                f"`{option['default']}`" if option["default"] else "empty",
                option["description"],
            )
            for section, content in PROVIDER_INFO["config"].items()
            for name, option in content["options"].items()
        ],
    )


_OPTION = re.compile(r"(?<![\w-])--[\w-]+")


def commands() -> str:
    """Return the commands of the command line, each with what it takes."""
    [group] = get_bitscale_commands()
    return "\n\n".join(_command(group.name, command) for command in group.subcommands)


def _command(group: str, command: Any) -> str:
    parser = ArgumentParser(prog=f"airflow {group} {command.name}", add_help=False)
    for argument in command.args:
        argument.add_to_parser(parser)
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    rows = [
        (
            ", ".join(f"`{flag}`" for flag in action.option_strings) or f"`{action.metavar or action.dest}`",
            action.help,
        )
        for action in parser._actions
    ]
    about = _OPTION.sub(r"`\g<0>`", command.description or f"{command.help}.")
    return (
        f"### {command.name}\n\n{about}\n\n```text\n{usage}\n```\n\n{_table(('Argument', 'Meaning'), rows)}"
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


TEXTS: dict[str, Callable[[], str]] = {
    "emulator-settings": emulator_settings,
    "commands": commands,
    "settings": settings,
    "states": states,
    "events": events,
    "transitions": transitions,
}


class FromCode(SphinxDirective):
    """Shows one of the ``TEXTS``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the text as nodes, read as Markdown."""
        return self.parse_text_to_nodes(TEXTS[self.arguments[0]]())


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx of the directive."""
    app.add_directive("from-code", FromCode)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
