"""BitScale for Apache Airflow: run grids from a DAG, paid once, paced and resumable."""

from __future__ import annotations

from typing import Any

__version__ = "0.2.0"

PROJECT_URL = "https://airflow-provider-bitscale.invalid"
"""The project's address: a placeholder until it has one. Files are at ``/blob/main/<path>`` below it."""


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow reads about this provider, through the ``apache_airflow_provider`` entry point."""
    from airflow_provider_bitscale.provider_info import PROVIDER_INFO

    return PROVIDER_INFO
