"""The sdist and the wheel of this checkout, built without a network, and what is in them."""

from __future__ import annotations

import email.message
import email.parser
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_bitscale"


def build(folder: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from that sdist; their files, in a folder that is empty before."""
    run("-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    [sdist], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def run(*arguments: str, executable: str = sys.executable) -> str:
    """Run Python in the root of the checkout; what it printed. Raises `RuntimeError` with its end."""
    done = subprocess.run((executable, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}:\n{(done.stdout + done.stderr).strip()[-2_000:]}")
    return done.stdout


def tracked(folder: str = "") -> set[str]:
    """Return the files below a folder of the repository that git has, or would take."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", folder or ".")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.splitlines() if os.path.lexists(ROOT / name)}


def files_of_wheel(wheel: Path) -> set[str]:
    """Return its files but for its own records."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def files_of_sdist(sdist: Path) -> set[str]:
    """Return its files, links too, without its top folder and its metadata."""
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if not member.isdir()}
    return names - {"PKG-INFO"}


def metadata(wheel: Path) -> email.message.Message:
    """Return what an index shows of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.parser.BytesParser().parsebytes(archive.read(name))
