"""Sends what clients count to Airflow's stats: StatsD, Datadog or OpenTelemetry, if one of them is on."""

from __future__ import annotations

from functools import cache

from airflow.sdk import conf
from airflow.sdk.observability import stats

from airflow_provider_bitscale.api.metrics import send_to

# Airflow's settings that turn its stats on, each for one kind.
_KINDS = ("statsd_on", "statsd_datadog_enabled", "otel_on")


def send_to_airflow() -> None:
    """Send what clients count in this process to Airflow's stats, from now on, if they are on."""
    is_on = any(conf.getboolean("metrics", kind, fallback=False) for kind in _KINDS)
    send_to(_AirflowStats(conf.getboolean("metrics", "legacy_names_on", fallback=True)) if is_on else None)


class _AirflowStats:
    """Counts under a name with tags and, as Airflow does with its own figures, by a name that has them in it.

    :param legacy_names: whether to use the second name, too: all that StatsD shows of tags.
    """

    def __init__(self, legacy_names: bool) -> None:
        self._legacy_names = legacy_names

    def incr(self, name: str, tags: dict[str, str]) -> None:
        """Count one."""
        stats.incr(name, tags=tags)
        if tags and self._legacy_names:
            stats.incr(_legacy_name(name, *tags.values()))

    def timing(self, name: str, milliseconds: float, tags: dict[str, str]) -> None:
        """Note how long something took."""
        stats.timing(name, milliseconds, tags=tags)
        if tags and self._legacy_names:
            stats.timing(_legacy_name(name, *tags.values()), milliseconds)


@cache
def _legacy_name(*parts: str) -> str:
    return ".".join(parts)
