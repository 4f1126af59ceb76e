"""On a host in FIPS mode, which has neither BLAKE2 nor MD5 nor SHA-1, everything works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# As OpenSSL answers there. What says that it is not for security gets MD5 and SHA-1 all the same.
HOST = """
import hashlib, sys

def refused(real):
    def make(*data, usedforsecurity=True, **options):
        if usedforsecurity:
            raise ValueError("[digital envelope routines] unsupported")
        return real(*data, usedforsecurity=False, **options)
    return make

for name in ("blake2b", "blake2s", "md5", "sha1"):
    setattr(hashlib, name, refused(getattr(hashlib, name)))
if "probe" in sys.argv:
    hashlib.blake2b(b"", digest_size=8)
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""
# One run and a batch, of a list and of a file, with results in files; the emulator; signed deliveries.
SHOWN = (
    "tests/scenarios/test_clear.py",
    "tests/airflow/test_rendered_arguments.py::test_every_path_of_a_batch_takes_a_file_uri",
    "tests/webhooks/test_callback_token.py",
)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HOST, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_everything_works_on_a_host_in_fips_mode() -> None:
    ended = python(*SHOWN)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-1000:]


def test_the_host_refuses_what_it_has_not() -> None:
    assert "unsupported" in python("probe").stderr
