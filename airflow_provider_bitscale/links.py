"""Links from a task in the Airflow UI: to its grid in BitScale's app, and to what it made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink, conf

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

# Where a browser finds what is in a store, by the scheme of its URLs.
_CONSOLES = {
    "s3": "https://s3.console.aws.amazon.com/s3/object/{bucket}?prefix={key}",
    "gs": "https://console.cloud.google.com/storage/browser/_details/{bucket}/{key}",
}


class BitScaleGridLink(BaseOperatorLink):
    """Opens the grid of a task."""

    name: ClassVar[str] = "BitScale grid"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the grid in the BitScale app."""
        return f"https://app.bitscale.ai/grid/{quote(str(operator.grid_id), safe='')}"


class BitScaleResultLink(BaseOperatorLink):
    """Opens what a task made: the manifest of a batch in the console of its store, else the task's XComs."""

    name: ClassVar[str] = "BitScale result"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the result. Airflow's UI shows no link that is not http(s)."""
        manifest_path = getattr(operator, "manifest_path", None)
        console = manifest_path and console_url(manifest_path)
        return console or _xcoms_url(ti_key)


def console_url(path: str) -> str | None:
    """Where a browser finds a file of a store that has a console; None for any other store.

    :param path: as Airflow's ObjectStoragePath writes it, such as ``s3://aws_default@bucket/key``.
    """
    scheme, _, rest = path.partition("://")
    bucket, _, key = rest.partition("/")
    console = _CONSOLES.get(scheme)
    return console and console.format(bucket=quote(bucket.rpartition("@")[2]), key=quote(key))


def _xcoms_url(ti_key: TaskInstanceKey) -> str:
    # Without its origin: the user may reach Airflow under another name than the worker.
    prefix = urlsplit(conf.get("api", "base_url", fallback="/")).path.rstrip("/")
    mapped = "" if ti_key.map_index is None or ti_key.map_index < 0 else f"/mapped/{ti_key.map_index}"
    run_id = quote(ti_key.run_id, safe="")
    return f"{prefix}/dags/{ti_key.dag_id}/runs/{run_id}/tasks/{ti_key.task_id}{mapped}/xcom"
