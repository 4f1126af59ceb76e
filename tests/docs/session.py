"""Runs the blocks of a page from top to bottom, as a reader does: one folder, one shell, one Python."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.docs.blocks import CONSOLE, FILE, GIVEN, INI, JSON, PYTHON, YAML, Block

SECONDS = 120
_DEFINES_A_DAG = re.compile(r"^@dag\b|\bDAG\(", re.MULTILINE)
_DEFINES_A_TEST = re.compile(r"^def test_", re.MULTILINE)
# Commands of Airflow that need no database.
_WITHOUT_DATABASE = ("bitscale", "config", "info", "plugins", "providers", "standalone", "version")
_AIRFLOW = re.compile(r"(?:^|[;&|(]\s*)airflow (\w+)", re.MULTILINE)


class Failed(AssertionError):
    """A block that does not do what its page says."""

    def __init__(self, block: Block, why: str) -> None:
        super().__init__(f"{block.place}: {why}")


class PageSession:
    """What one page has done so far.

    :param folder: where files of the page are, and its commands run.
    :param environment: of its commands at the start.
    :param run_dags: runs all DAGs of a file, and returns what went wrong, by task; called with the file.
    :param make_database: makes Airflow's database for commands that need one; called with the environment.
    """

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str],
        run_dags: Callable[[Path], dict[str, str]],
        make_database: Callable[[dict[str, str]], None],
    ) -> None:
        self._folder = folder
        self._environment = {**environment, "PWD": str(folder)}
        self._run_dags = run_dags
        self._make_database = make_database
        self._names: dict[str, Any] = {"__name__": "docs"}
        self._has_database = False
        self._files = 0

    def run(self, block: Block) -> None:
        """Run a block; one that is not to be run is only parsed."""
        if FILE in block.tags:
            self._write(block.tags[FILE], block.text)
        self._parse(block)
        if block.reason is not None:
            return
        if block.language == PYTHON:
            self._run_python(block)
        elif block.language == CONSOLE and FILE not in block.tags:
            self._run_commands(block)

    def _parse(self, block: Block) -> None:
        try:
            if block.language == PYTHON:
                compile(block.text, block.page, "exec")
            elif block.language == JSON:
                json.loads(block.text)
            elif block.language == YAML:
                list(yaml.safe_load_all(block.text))
            elif block.language == INI:
                configparser.ConfigParser(interpolation=None).read_string(block.text)
            elif block.language == CONSOLE:
                self._bash(commands_of(block.text), "-n")
        except (SyntaxError, ValueError, yaml.YAMLError, configparser.Error) as problem:
            raise Failed(block, f"is no {block.language}: {problem}") from None
        except subprocess.CalledProcessError as problem:
            raise Failed(block, f"is no script: {problem.stderr}") from None

    def _run_python(self, block: Block) -> None:
        if _DEFINES_A_TEST.search(block.text):
            self._run_tests(block, self._write(self._name(block, "test_{}.py"), block.text))
        elif _DEFINES_A_DAG.search(block.text):
            if problems := self._run_dags(self._write(self._name(block, "dags/docs_{}.py"), block.text)):
                raise Failed(block, f"{problems}")
        else:
            self._execute(block)

    def _execute(self, block: Block) -> None:
        from airflow.sdk import DAG

        # Its tasks, if it has any, are in a DAG; and a traceback names lines of the page.
        code = compile("\n" * (block.line - 1) + block.text, block.page, "exec")
        with DAG("docs", schedule=None):
            exec(block.tags.get(GIVEN, ""), self._names)
            try:
                exec(code, self._names)
            except Exception as problem:
                raise Failed(block, f"{type(problem).__name__}: {problem}") from problem

    def _run_tests(self, block: Block, file: Path) -> None:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file.name]
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, timeout=SECONDS
        )
        if done.returncode:
            raise Failed(block, f"its tests fail:\n{done.stdout}\n{done.stderr}")

    def _run_commands(self, block: Block) -> None:
        script = commands_of(block.text)
        if not self._has_database and needs_database(script):
            self._make_database(self._environment)
            self._has_database = True
        state = self._folder / ".environment"
        try:
            # What it exports, and where it has gone to, holds for the blocks after it.
            self._bash(f"{script}\nenv -0 > {state}")
        except subprocess.CalledProcessError as problem:
            told = f"{problem.stdout}\n{problem.stderr}"
            raise Failed(block, f"ends with {problem.returncode}:\n{told}") from None
        except subprocess.TimeoutExpired:
            raise Failed(block, f"takes more than {SECONDS} seconds") from None
        pairs = (pair.partition("=") for pair in state.read_text().split("\0") if pair)
        self._environment = {name: value for name, _, value in pairs}

    def _bash(self, script: str, *options: str) -> None:
        subprocess.run(
            ["bash", "--norc", *options, "-euo", "pipefail", "-c", script],
            cwd=self._environment["PWD"],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )

    def _name(self, block: Block, pattern: str) -> str:
        self._files += 1
        return block.tags.get(FILE) or pattern.format(self._files)

    def _write(self, name: str, text: str) -> Path:
        file = self._folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file


def commands_of(text: str) -> str:
    """Return the commands of a console block: what follows ``$ ``, or all of it if no line begins so."""
    lines = text.splitlines(keepends=True)
    if not any(line.startswith("$ ") for line in lines):
        return text
    commands, goes_on = [], False
    for line in lines:
        if line.startswith("$ ") or goes_on:
            commands.append(line.removeprefix("$ "))
            goes_on = line.rstrip().endswith("\\")
    return "".join(commands)


def needs_database(script: str) -> bool:
    """Whether a script calls Airflow for what is in its database."""
    return any(command not in _WITHOUT_DATABASE for command in _AIRFLOW.findall(script))


def reader_environment(folder: Path, connection: str) -> dict[str, str]:
    """Return the environment of a reader's shell, whose BitScale is the one of this connection."""
    return {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin")),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_BITSCALE_DEFAULT": connection,
        "NO_PROXY": "127.0.0.1,localhost",
    }
