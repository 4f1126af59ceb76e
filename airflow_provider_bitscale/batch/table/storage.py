"""Files in a store: paths and URIs as users write them, atomic writes, and what a store's errors mean."""

from __future__ import annotations

import errno
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Protocol, get_args
from urllib.parse import unquote_to_bytes

from airflow_provider_bitscale.api.errors import InvalidRequestError

# Of the parts that are written.
OutputFormat = Literal["jsonl", "csv"]
FORMATS: tuple[str, ...] = get_args(OutputFormat)


class StorePath(Protocol):
    """What is used of a path in a store: Airflow's ObjectStoragePath has it."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def fs(self) -> Any: ...
    @property
    def parent(self) -> StorePath: ...
    def open(self, mode: str = ..., **options: Any) -> Any: ...
    def __truediv__(self, name: str, /) -> StorePath: ...


class StoreError(OSError):
    """A store did not do what was asked of it. It names the path; a retry may find the store well again."""

    @classmethod
    def of(cls, path: object, problem: Exception) -> StoreError:
        """Return what a store's library raised, whatever its class, with the path."""
        return cls(f"{path}: {type(problem).__name__}: {problem}")


def is_final(problem: BaseException | None) -> bool:
    """Whether no retry cures what a store answered: denied, no such bucket, read-only, a file in the way.

    Everything else may be a passing outage, and paid rows may wait behind it. So may a token that has
    expired, though libraries say denied: the next try has a new one.

    :param problem: as the store's library raised it.
    """
    if _is_expired(problem):
        return False
    if isinstance(problem, (*_FINAL_ERRORS, NotImplementedError)):
        return True
    if isinstance(problem, OSError) and problem.errno in _FINAL_ERRNOS:
        return True
    # The errors of Google's, Azure's and other libraries are not OSErrors.
    statuses = (getattr(problem, name, None) for name in ("status", "status_code", "code"))
    return any(isinstance(status, int) and status in _FINAL_STATUSES for status in statuses)


def read_whole(path: StorePath) -> bytes | None:
    """Return what is in a file; None if there is none.

    :raises StoreError: the store cannot be read.
    """
    try:
        with path.open("rb") as file:
            return bytes(file.read())
    except (FileNotFoundError, IsADirectoryError):
        return None
    except Exception as problem:
        raise StoreError.of(path, problem) from problem


def write_whole(path: StorePath, data: bytes) -> None:
    """Write a file that readers see as a whole or not at all; one that is there is replaced.

    :raises StoreError: the store did not take it; what it raised is the cause.
    """
    fs = path.fs
    try:
        if getattr(fs, "local_file", False):
            _write_on_disk(Path(path.path), data)
        elif fs.mv.__module__ == "fsspec.spec":
            # fsspec's own way to move is to copy: this store has no names to change, but objects, and shows
            # one when all of it has arrived.
            fs.pipe_file(path.path, data)
        else:
            _write_and_rename(fs, path, data)
    except Exception as problem:
        raise StoreError.of(path, problem) from problem


def _write_on_disk(target: Path, data: bytes) -> None:
    # Not fsspec's transaction: it goes by way of the folder for temporary files, and a move from one disk to
    # another is a copy that can be seen half done.
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(_partial(target.name))
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            # Else a power cut may keep the name, and not what is in the file.
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _write_and_rename(fs: Any, path: StorePath, data: bytes) -> None:
    """For a file system over a network, such as SFTP, where readers see a file grow."""
    fs.makedirs(path.parent.path, exist_ok=True)
    partial = (path.parent / _partial(path.name)).path
    try:
        fs.pipe_file(partial, data)
        try:
            fs.mv(partial, path.path)
        except Exception:
            if not fs.exists(path.path):
                raise
            _replace(fs, partial, path.path, aside=(path.parent / _partial(path.name)).path)
    except Exception:
        with suppress(Exception):
            fs.rm_file(partial)
        raise


def _replace(fs: Any, partial: str, target: str, *, aside: str) -> None:
    """For servers that rename to no name that is taken: one of the two files is always there."""
    fs.mv(target, aside)
    try:
        fs.mv(partial, target)
    except Exception:
        fs.mv(aside, target)
        raise
    fs.rm_file(aside)


def _partial(name: str) -> str:
    return f".{name}.{secrets.token_hex(4)}"


def _is_expired(problem: BaseException | None) -> bool:
    while problem is not None:
        # Such as "ExpiredToken", "The provided token has expired.". A path may say so, too.
        text = (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
        if "expired" in text.lower():
            return True
        problem = problem.__cause__
    return False


_FINAL_ERRORS = (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError)
_FINAL_ERRNOS = frozenset(
    {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EROFS}
    | {errno.ENAMETOOLONG, errno.ELOOP}
)
_FINAL_STATUSES = frozenset({401, 403, 404, 405})


_FILE = re.compile(r"(file|local):(?=/)", re.IGNORECASE)
_FILE_RELATIVE = re.compile(r"(file|local):(?!/)", re.IGNORECASE)
_WINDOWS = re.compile(r"[a-z]:(?!//)|\\\\", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_ESCAPE = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)


def readable_path(text: str) -> str:
    """Return a path as Airflow's ObjectStoragePath takes it, which reads a file URI as it stands.

    A file URI is decoded, as ``Path.as_uri()`` encodes it (RFC 8089); all else stays as it is. What is
    returned is left as it is when it is given again.

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
    """Return the absolute path of a file as a text that :func:`readable_path` leaves as it is."""
    # In a URI, a percent escape would be decoded.
    return path if _ESCAPE.search(path) else f"file://{path}"


def hint_if_relative(text: str) -> str:
    """Return what may be wrong with a path where there is no file: the end of a sentence; perhaps empty."""
    if not _is_relative(text):
        return ""
    return f"; it is relative to {os.getcwd()}, where this worker runs: write an absolute path or a URI"


def path_problems(name: str, text: str, *, written: bool) -> list[str]:
    """Return what is wrong with a path, one sentence each; empty if nothing is.

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
