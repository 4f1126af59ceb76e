"""`make release-check` says in a line each what is true, and fails while the address is a placeholder."""

from __future__ import annotations

import subprocess
import sys

from airflow_provider_bitscale import PROJECT_URL, __version__
from tests.support.packages import ROOT


def test_a_line_tells_what_is_true_and_another_what_is_not() -> None:
    command = (sys.executable, "-m", "tests.tools.release_check", "version", "address")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    version, address, verdict = done.stdout.splitlines()
    assert version.startswith(f"ok    version: {__version__} of 20"), (
        "CHANGELOG.md has a section of it, and a day"
    )
    if PROJECT_URL.endswith(".invalid"):
        assert address.startswith(f"FAIL  address: {PROJECT_URL} is a placeholder")
        assert (verdict, done.returncode) == ("Not to be released: 1 of 2 failed", 1)
    else:
        assert (address, verdict, done.returncode) == (f"ok    address: {PROJECT_URL}", "2 of 2", 0)
