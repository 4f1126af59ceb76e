"""A small file system of its own, where root may mount one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def tmpfs(at: Path, options: str) -> Iterator[None]:
    """A file system in memory for the time of the block; the test is skipped where none can be mounted."""
    at.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(at))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(("umount", str(at)), timeout=60, check=True)


def remount(at: Path, options: str) -> None:
    """Change the options of a file system that :func:`tmpfs` has mounted."""
    subprocess.run(("mount", "-o", f"remount,{options}", str(at)), timeout=60, check=True)
