"""Paths as users write them: file URIs are decoded, and what no folder can be meant by is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_bitscale.api import InvalidRequestError
from airflow_provider_bitscale.batch.table.manifest import read_manifest
from airflow_provider_bitscale.batch.table.readers import FileSource
from airflow_provider_bitscale.batch.table.storage import path_problems, readable_path
from airflow_provider_bitscale.operators.store_path import stored

# What is written; then the file that is meant.
FILES = {
    "/data/leads.csv": "/data/leads.csv",
    "/data/50%": "/data/50%",
    "/data/50%20off": "/data/50%20off",
    "file:///data/leads.csv": "/data/leads.csv",
    "file:///data/My%20Leads%2050%25": "/data/My Leads 50%",
    "file:///data/My Leads 50%": "/data/My Leads 50%",
    "file:///data/50%2520off": "/data/50%20off",
    "file:///data/Jan%C3%A9": "/data/Jané",
    "file:///data/Jané": "/data/Jané",
    "file:///data/a%23b%3Fc": "/data/a#b?c",
    "file://localhost/data/a%20b": "/data/a b",
    "file://LOCALHOST/data/a": "/data/a",
    "file:/data/a%20b": "/data/a b",
    "FILE:///data/a%20b": "/data/a b",
}


@pytest.mark.parametrize(("written", "file"), FILES.items())
def test_a_file_uri_is_decoded_and_a_path_is_not(written: str, file: str) -> None:
    path = stored(written)
    assert path.path == file
    assert stored(str(path)).path == file, "its text gives it again"
    assert ObjectStoragePath(str(path)).path == file, "as Airflow reads it, too"
    assert stored(path).path == file


@pytest.mark.parametrize(
    "name", ["leads", "My Leads 50%", "50%20off", "a#b?c=d&e", "Jané 名前", "a+b", "a\\b"]
)
def test_a_path_is_found_by_its_uri(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text("Ada")
    for written in (file.as_uri(), str(file), file):
        assert stored(written).read_text() == "Ada"  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["s3://bucket/a%20b", "gs://bucket/50%25", "memory://a%41"])
def test_the_paths_of_other_stores_stay_as_they_are(path: str) -> None:
    assert readable_path(path) == path


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("file://nas/leads.csv", "names the host nas; a file is written file:///nas/leads.csv"),
        ("file://data", "names the host data"),
        ("file://localhost", "names no file"),
        ("file:///a%00b", "names no file"),
    ],
)
def test_a_uri_of_no_file_on_this_machine_is_refused(path: str, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        stored(path)


# A path; then what is said against reading it, and against writing there.
PROBLEMS: dict[str, tuple[str | None, str | None]] = {
    "/data/out": (None, None),
    "file:///data/out": (None, None),
    "s3://bucket/out": (None, None),
    "s3://conn@bucket/out": (None, None),
    "leads.csv": (None, "is relative"),
    "out/None such": (None, "is relative"),
    "~/out": ("begins with ~", "begins with ~"),
    "~ada/out": ("begins with ~", "begins with ~"),
    "./out": (None, "is relative"),
    "file:out": ("is relative", "is relative"),
    "file:./out.csv": ("is relative", "is relative"),
    "FILE:~/out": ("is relative", "is relative"),
    "file:/data/out": (None, None),
    "C:/out": ("path of Windows", "path of Windows"),
    "c:out": ("path of Windows", "path of Windows"),
    r"C:\out": ("path of Windows", "path of Windows"),
    r"\\nas\leads": ("path of Windows", "path of Windows"),
    "/data/C:/out": (None, None),
    "s3://bucket/None": ("has a part None", "has a part None"),
    "s3://None/out": ("has a part None", "has a part None"),
    "/data/None/out": ("has a part None", "has a part None"),
    "/data/None such": (None, None),
}


@pytest.mark.parametrize(("path", "read", "written"), [(path, *both) for path, both in PROBLEMS.items()])
def test_what_no_path_can_be_meant_by(path: str, read: str | None, written: str | None) -> None:
    for expected, is_written in ((read, False), (written, True)):
        problems = path_problems("output_path", path, written=is_written)
        assert len(problems) == (expected is not None)
        assert all(str(expected) in problem and path in problem for problem in problems)


def test_where_a_relative_path_led_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.csv").write_text("Full Name\nAda\n")
    assert len(list(FileSource(stored("there.csv")).read())) == 1
    told = (
        f"there is no file .*; it is relative to {tmp_path}, where this worker runs: write an absolute path"
    )
    with pytest.raises(InvalidRequestError, match=told):
        list(FileSource(stored("leads.csv")).read())
    with pytest.raises(InvalidRequestError, match=told):
        read_manifest(stored("b1-manifest.json"))
    with pytest.raises(InvalidRequestError, match=r"leads\.csv$"):
        list(FileSource(stored(f"{tmp_path}/leads.csv")).read())
