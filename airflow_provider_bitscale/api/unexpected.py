"""Logs answers that differ from the documents, each difference once a process."""

from __future__ import annotations

import logging
from functools import lru_cache

from airflow_provider_bitscale.api.carriable import shorten

log = logging.getLogger(__name__)


@lru_cache(maxsize=128)
def tell_once(what: str) -> None:
    """Log a difference that could be read all the same."""
    log.warning("BitScale's answer is not as documented, and is read all the same: %s", shorten(what))
