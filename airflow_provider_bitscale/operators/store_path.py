"""Paths on stores that Airflow knows, as its users name them."""

from __future__ import annotations

from airflow.sdk import ObjectStoragePath

from airflow_provider_bitscale.api.errors import InvalidRequestError


def stored(path: str | ObjectStoragePath) -> ObjectStoragePath:
    """The path, on a store that can be used.

    :raises InvalidRequestError: it is one that nobody knows, or whose provider is not installed.
    """
    try:
        found = ObjectStoragePath(path)
        # Only now the store is looked for.
        _ = found.fs
    except (ValueError, ImportError) as problem:
        raise InvalidRequestError(
            f"{path} cannot be used: {problem}. Is the provider of that store installed?"
        ) from None
    return found
