"""A folder in each kind of store: a local disk, and one that takes whole objects only."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec import AbstractFileSystem, register_implementation
from fsspec.implementations.memory import MemoryFileSystem
from upath import UPath

STORES = ("file", "memory")


def folder_in(store: str, tmp_path: Path) -> ObjectStoragePath:
    """A folder of this test's own; not made yet."""
    if store == "memory":
        attach("memory", fs=UPath("memory:///").fs)
    return ObjectStoragePath(f"{store}://{tmp_path}") / "a folder"


def attached(fs: type[AbstractFileSystem], path: str) -> ObjectStoragePath:
    """A path in a store of this class, which Airflow knows by its protocol from now on."""
    register_implementation(fs.protocol, fs, clobber=True)
    attach(str(fs.protocol), fs=fs())
    return ObjectStoragePath(f"{fs.protocol}://{path}")


def write(path: ObjectStoragePath, data: bytes) -> ObjectStoragePath:
    """The path, with this in it."""
    if path.protocol == "file":
        Path(path.path).parent.mkdir(parents=True, exist_ok=True)
    path.fs.pipe_file(path.path, data)
    return path


class Objects(MemoryFileSystem):  # type: ignore[misc]
    """A store of objects that fails as it is told to."""

    protocol = "objects"
    cachable = False
    writing: ClassVar[Exception | None] = None
    removing: ClassVar[Exception | None] = None
    reading: ClassVar[Exception | None] = None

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        if self.writing is not None:
            raise self.writing
        super().pipe_file(path, value, mode, **options)

    def rm_file(self, path: str) -> None:
        if self.removing is not None:
            raise self.removing
        super().rm_file(path)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if self.reading is not None and mode == "rb":
            raise self.reading
        return super()._open(path, mode, **options)
