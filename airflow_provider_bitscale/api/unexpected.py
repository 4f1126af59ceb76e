"""Tells what BitScale answers otherwise than documented, once a process."""

from __future__ import annotations

import logging
from functools import lru_cache

from airflow_provider_bitscale.api.carriable import shorten

log = logging.getLogger(__name__)


@lru_cache(maxsize=128)
def tell_once(what: str) -> None:
    """Log what was not as documented, and was read all the same."""
    log.warning("BitScale's answer is not as documented, and is read all the same: %s", shorten(what))
