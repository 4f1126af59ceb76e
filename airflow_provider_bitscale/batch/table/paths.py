"""Pure: paths and URIs as users write them, and as a store takes them."""

from __future__ import annotations

import os
import re
from typing import Literal, get_args
from urllib.parse import unquote_to_bytes

from airflow_provider_bitscale.api.errors import InvalidRequestError

# Of the parts that are written.
OutputFormat = Literal["jsonl", "csv"]
FORMATS: tuple[str, ...] = get_args(OutputFormat)
_FILE = re.compile(r"(file|local):(?=/)", re.IGNORECASE)
_FILE_RELATIVE = re.compile(r"(file|local):(?!/)", re.IGNORECASE)
_WINDOWS = re.compile(r"[a-z]:(?!//)|\\\\", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_ESCAPE = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)


def readable_path(text: str) -> str:
    """A path as Airflow's ObjectStoragePath takes it, which reads a file URI as it stands.

    A file URI is decoded, as ``Path.as_uri()`` encodes it (RFC 8089); all else stays as it is. What is
    returned stands for the same path when it is given again.

    :raises InvalidRequestError: a file URI that names another host, or no file.
    """
    if (scheme := _FILE.match(text)) is None:
        return text
    path = text[scheme.end() :]
    if path.startswith("//"):
        host, slash, path = path[2:].partition("/")
        if host.lower() not in ("", "localhost"):
            raise InvalidRequestError(
                f"{text} names the host {host}; a file is written file:///{host}/{path}"
            )
        path = slash + path
    path = os.fsdecode(unquote_to_bytes(path))
    if not path or "\0" in path:
        raise InvalidRequestError(f"{text} names no file")
    return file_text(path)


def file_text(path: str) -> str:
    """The absolute path of a file as a text that :func:`readable_path` leaves as it is."""
    # In a URI, what looks like an escape would be decoded.
    return path if _ESCAPE.search(path) else f"file://{path}"


def hint_if_relative(text: str) -> str:
    """What may be wrong with a path where there is no file: the end of a sentence; perhaps empty."""
    if not _is_relative(text):
        return ""
    return f"; it is relative to {os.getcwd()}, where this worker runs: write an absolute path or a URI"


def path_problems(name: str, text: str, *, written: bool) -> list[str]:
    """What is wrong with a path, one sentence each; empty if nothing is.

    :param name: of the argument that has it.
    :param written: whether files are written there.
    """
    if "None" in re.split(r"[/\\]", text):
        return [f"{name} {text!r} has a part None, which is what a template gives that finds nothing"]
    if _FILE_RELATIVE.match(text):
        return [
            f"{name} {text!r} is relative, which no file URI is: write file:///data/leads or a plain path"
        ]
    if _WINDOWS.match(text):
        return [
            f"{name} {text} is a path of Windows: write that under which workers see it, which run on Linux"
        ]
    if text.startswith("~"):
        return [f"{name} {text!r} begins with ~, which workers do not read as a home: write an absolute path"]
    if written and _is_relative(text):
        where = f"{name} {text!r} is relative to the folder that a worker happens to run in"
        return [f"{where}: write an absolute path or a URI, such as file:///data/leads or s3://bucket/leads"]
    return []


def _is_relative(text: str) -> bool:
    return not text.startswith("/") and not _SCHEME.match(text) and not _FILE.match(text)
