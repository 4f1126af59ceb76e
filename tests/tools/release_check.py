"""`make release-check`: all that must be true before a release, a line for each."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date, datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

from airflow_provider_bitscale import PROJECT_URL, __version__
from tests.support.packages import PACKAGE, ROOT, build, files_of_wheel, run, tracked

# Names that nobody can register (RFC 2606 and RFC 6761).
_RESERVED = ("invalid", "example", "test", "localhost", "example.com", "example.org", "example.net")


class NotReadyError(Exception):
    """Why this is no release yet."""


def address() -> str:
    """Tell the project's address."""
    host = urlsplit(PROJECT_URL).hostname or ""
    if any(host == name or host.endswith(f".{name}") for name in _RESERVED):
        raise NotReadyError(f"{PROJECT_URL} is a placeholder; CONTRIBUTING.md says how to replace it")
    return PROJECT_URL


def version() -> str:
    """Compare the version with the newest section of the changelog."""
    newest, day = newest_section((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    if newest != __version__:
        raise NotReadyError(f"the package is {__version__}, the newest section of CHANGELOG.md {newest}")
    if day is None:
        raise NotReadyError(f"the section {newest} of CHANGELOG.md has no date")
    if day > datetime.now(timezone.utc).date():
        raise NotReadyError(f"the section {newest} of CHANGELOG.md is of {day}, which is to come")
    return f"{newest} of {day}"


def newest_section(changelog: str) -> tuple[str, date | None]:
    """Return the version and the day of the first section of a changelog."""
    first = re.search(r"^## \[?([^\]\s]+)\]?(?: - (\d{4}-\d\d-\d\d))?", changelog, re.MULTILINE)
    if first is None:
        return "none", None
    return first[1], date.fromisoformat(first[2]) if first[2] else None


def clean() -> str:
    """Look for what is not committed, and name the commit."""
    if changed := _git("status", "--porcelain"):
        raise NotReadyError(f"not committed: {', '.join(line[3:] for line in changed.splitlines()[:5])}")
    return _git("rev-parse", "--short", "HEAD")


def _git(*arguments: str) -> str:
    done = subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.rstrip()


def packages() -> str:
    """Build sdist and wheel, and check what an index would show and the wheel has."""
    with tempfile.TemporaryDirectory(prefix="bitscale-release-") as folder:
        sdist, wheel = build(Path(folder))
        run("-m", "twine", "check", "--strict", str(sdist), str(wheel))
        if differing := files_of_wheel(wheel) ^ tracked(PACKAGE):
            raise NotReadyError(f"wheel and {PACKAGE}/ differ in {', '.join(sorted(differing)[:5])}")
        return f"{sdist.name}, {wheel.name}"


def documentation() -> str:
    """Build the documentation; a warning is an error."""
    with tempfile.TemporaryDirectory(prefix="bitscale-release-") as folder:
        run("-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", folder)
        return f"{len(list(Path(folder).rglob('*.html')))} pages"


CHECKS: dict[str, Callable[[], str]] = {
    check.__name__: check for check in (address, version, clean, packages, documentation)
}


def main() -> int:
    """Zero if all is true; names of checks on the command line choose among them."""
    chosen = sys.argv[1:] or list(CHECKS)
    failed = 0
    for name in chosen:
        try:
            print(f"ok    {name}: {CHECKS[name]()}", flush=True)
        except (NotReadyError, RuntimeError) as error:
            failed += 1
            print(f"FAIL  {name}: {error}", flush=True)
    print(
        f"Not to be released: {failed} of {len(chosen)} failed"
        if failed
        else f"{len(chosen)} of {len(chosen)}"
    )
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
