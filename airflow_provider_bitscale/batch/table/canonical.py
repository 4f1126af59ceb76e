"""Pure: values as the same bytes each time, to be compared by their digests."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_bitscale.api.errors import InvalidRequestError

_ENCODER = json.JSONEncoder(sort_keys=True, allow_nan=False, separators=(",", ":"))


def canonical(value: Any) -> bytes:
    """A value as the same JSON each time, whatever the order of its fields.

    :raises InvalidRequestError: it is not JSON.
    """
    try:
        return _ENCODER.encode(value).encode()
    except (TypeError, ValueError, RecursionError) as problem:
        raise InvalidRequestError(f"it is not JSON: {problem}") from None
