"""Paths on stores that Airflow knows, as its users name them."""

from __future__ import annotations

from airflow.sdk import ObjectStoragePath

from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.table.storage import StoreError, file_text, readable_path


def stored(path: str | ObjectStoragePath) -> ObjectStoragePath:
    """Return the path, on a store that can be used. Its text gives the same path again.

    :param path: a path, or a URI; a file URI as ``Path.as_uri()`` encodes it.
    :raises InvalidRequestError: it cannot be read, or its store is unknown, or the provider is not installed.
    :raises StoreError: the store cannot be reached.
    """
    try:
        if not isinstance(path, ObjectStoragePath):
            found = ObjectStoragePath(readable_path(str(path)))
        elif path.protocol in ("file", "local"):
            # A path, not a URI: what looks like an escape belongs to the file's name.
            found = ObjectStoragePath(file_text(path.path))
        else:
            found = path
        # Connects to the store.
        _ = found.fs
    except (ValueError, ImportError) as problem:
        raise InvalidRequestError(
            f"{path} cannot be used: {problem}. Is the provider of that store installed?"
        ) from None
    except OSError as problem:
        # Some stores connect as soon as they are made.
        raise StoreError.of(path, problem) from problem
    return found
