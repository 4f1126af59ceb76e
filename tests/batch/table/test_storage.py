"""What a store's errors mean, and files that readers see as a whole or not at all."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from airflow.sdk import ObjectStoragePath
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_bitscale.api import InvalidRequestError
from airflow_provider_bitscale.batch.table.manifest import read_manifest
from airflow_provider_bitscale.batch.table.storage import StoreError
from airflow_provider_bitscale.batch.table.writers import Output
from tests.support.object_stores import Objects, attached, folder_in


class HttpError(Exception):
    """As the libraries of Google and Azure raise it."""

    def __init__(self, message: str = "refused", **fields: Any) -> None:
        super().__init__(message)
        self.__dict__.update(fields)


@pytest.fixture
def objects() -> Iterator[ObjectStoragePath]:
    yield attached(Objects, "leads/out")
    for name in ("writing", "removing", "reading"):
        setattr(Objects, name, None)


PASSING: list[Exception] = [
    ConnectionError("reset"),
    TimeoutError("slow"),
    OSError(errno.ENOSPC, "full"),
    OSError("SlowDown"),
    RuntimeError("a library of its own"),
    HttpError(status=503),
    HttpError(code=429),
    HttpError(status_code="500"),
    PermissionError("The provided token has expired."),
    PermissionError(errno.EACCES, "ExpiredToken"),
    HttpError("ExpiredToken", status=403),
    HttpError(code={}),
]
FINAL: list[Exception] = [
    PermissionError("AccessDenied"),
    PermissionError(errno.EACCES, "Permission denied", "/data/expired/leads"),
    FileNotFoundError("NoSuchBucket"),
    OSError(errno.EROFS, "read-only"),
    FileExistsError("a file in the way"),
    NotADirectoryError("a file in the way"),
    NotImplementedError("this store is only read"),
    HttpError(status=403),
    HttpError(code=404),
    HttpError(status_code=401),
]


@pytest.mark.parametrize("problem", PASSING, ids=repr)
def test_a_passing_outage_is_no_user_error(problem: Exception, objects: ObjectStoragePath) -> None:
    Objects.writing = problem
    with pytest.raises(StoreError, match=r"objects://leads/out/b1-check: ") as caught:
        Output(objects, "jsonl", "b1").check()
    assert caught.value.__cause__ is problem
    Objects.writing = None
    Output(objects, "jsonl", "b1").check()


@pytest.mark.parametrize("problem", FINAL, ids=repr)
def test_what_no_retry_cures_is_one(problem: Exception, objects: ObjectStoragePath) -> None:
    Objects.writing = problem
    with pytest.raises(
        InvalidRequestError, match=r"output_path cannot be written: objects://leads/out/b1-check"
    ):
        Output(objects, "jsonl", "b1").check()


def test_a_file_in_the_way_of_the_folder_is_one(tmp_path: Path) -> None:
    (tmp_path / "a folder").write_text("")
    with pytest.raises(InvalidRequestError, match=r"output_path cannot be written: .*a folder"):
        Output(folder_in("file", tmp_path), "jsonl", "b1").check()


@pytest.mark.parametrize(
    "problem", [PermissionError("AccessDenied"), HttpError(status=403), FileNotFoundError()]
)
def test_the_check_needs_no_permission_to_remove(problem: Exception, objects: ObjectStoragePath) -> None:
    Objects.removing = problem
    Output(objects, "jsonl", "b1").check()


def test_an_error_of_a_store_names_the_path(objects: ObjectStoragePath) -> None:
    output = Output(objects, "jsonl", "b1")
    Objects.writing = OSError("SlowDown")
    with pytest.raises(StoreError, match=r"objects://leads/out/b1-part-00003\.jsonl: OSError: SlowDown"):
        output.write_part(3, [])
    Objects.reading = TimeoutError("slow")
    with pytest.raises(StoreError, match=r"objects://leads/out/b1-unsaved: TimeoutError: slow"):
        output.read_file("unsaved")
    with pytest.raises(StoreError, match=r"objects://leads/out/b1-manifest\.json: TimeoutError: slow"):
        read_manifest(objects / "b1-manifest.json")


class Server(LocalFileSystem):  # type: ignore[misc]
    """A server of files, such as SFTP: readers see a file while it grows, and a name can be changed."""

    protocol = "server"
    local_file = False
    cachable = False
    replaces: ClassVar[bool] = True
    breaks_after: ClassVar[int | None] = None
    # For each rename, whether it gets through; all do that are not named.
    renames: ClassVar[list[bool]] = []
    seen: ClassVar[list[dict[str, str]]] = []

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        for length in range(len(value) + 1):
            Path(path).write_bytes(value[:length])
            if length == self.breaks_after:
                raise ConnectionError("lost")
            self.seen.append({each.name: each.read_text() for each in Path(path).parent.glob("b1-*")})

    def mv(self, path1: str, path2: str, recursive: bool = True, **options: Any) -> None:
        if not self.replaces and Path(path2).exists():
            raise OSError("the name is taken")
        if self.renames and not self.renames.pop(0):
            raise ConnectionError("lost")
        Path(path1).replace(path2)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ObjectStoragePath]:
    Server.seen.clear()
    yield attached(Server, f"{tmp_path}/out")
    Server.replaces, Server.breaks_after = True, None
    Server.renames.clear()


@pytest.mark.parametrize("replaces", [True, False])
def test_a_file_on_a_server_of_files_is_seen_when_it_is_whole(
    replaces: bool, server: ObjectStoragePath, tmp_path: Path
) -> None:
    Server.replaces = replaces
    output = Output(server, "jsonl", "b1")
    for text in ("first", "second"):
        output.write_file("part", text)
    assert {text for seen in Server.seen for text in seen.values()} == {"first"}
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {"b1-part": "second"}


def test_what_broke_off_on_a_server_of_files_leaves_nothing(
    server: ObjectStoragePath, tmp_path: Path
) -> None:
    output = Output(server, "jsonl", "b1")
    output.write_file("part", "first")
    Server.breaks_after = 3
    with pytest.raises(StoreError, match="b1-part: ConnectionError: lost"):
        output.write_file("part", "second")
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {"b1-part": "first"}


RENAMES = {
    "the name is taken": (False, [True, False, True], "first"),
    "lost once": (True, [False, True, True], "second"),
    "lost twice": (True, [False, True, False, True], "first"),
}


@pytest.mark.parametrize(("replaces", "renames", "left"), RENAMES.values(), ids=RENAMES)
def test_a_rename_that_is_lost_costs_no_file_that_was_there(
    replaces: bool, renames: list[bool], left: str, server: ObjectStoragePath, tmp_path: Path
) -> None:
    output = Output(server, "jsonl", "b1")
    output.write_file("part", "first")
    Server.replaces, Server.renames[:] = replaces, renames
    with suppress(StoreError):
        output.write_file("part", "second")
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {"b1-part": left}
