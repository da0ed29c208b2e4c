"""The metrics that there are: the service's by its own definitions, the exporters' by their sources."""

from __future__ import annotations

import re
from collections.abc import Iterable

from domain.metrics.catalogue import METRICS

# The service's, and whether each is a histogram.
SERVICE = {
    instrument.name + ("_total" if instrument.kind == "counter" else ""): instrument.kind == "histogram"
    for instrument in METRICS
}

EXPORTERS = {
    # Prometheus itself: `up` of each target, ALERTS of each alert that is pending or firing.
    "up",
    "ALERTS",
    # postgres_exporter 0.20.1, github.com/prometheus-community/postgres_exporter: exporter/postgres_exporter.go,
    # collector/pg_stat_database.go, pg_database.go, pg_replication_slots.go, pg_setting.go. All by collectors that are
    # on when nothing else is said.
    "pg_up",
    "pg_stat_database_numbackends",
    "pg_stat_database_active_time_seconds_total",
    "pg_database_size_bytes",
    "pg_replication_slots_pg_wal_lsn_diff",
    "pg_replication_slots_wal_status",
    "pg_settings_max_connections",
    # pgbouncer_exporter 0.12.1, github.com/prometheus-community/pgbouncer_exporter: collector.go.
    "pgbouncer_up",
    "pgbouncer_pools_client_waiting_connections",
    # redis_exporter 1.88.0, github.com/oliver006/redis_exporter: exporter/exporter.go, from INFO alone.
    "redis_up",
    "redis_memory_used_bytes",
    "redis_memory_max_bytes",
    "redis_evicted_keys_total",
    "redis_commands_processed_total",
    "redis_cpu_user_seconds_total",
    "redis_cpu_sys_seconds_total",
}

_STRINGS = re.compile(r'"[^"]*"')
_LABELS = re.compile(r"\{[^}]*\}|\b(by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)")
# A name that no bracket follows, or it is a function.
_NAME = re.compile(r"(?<![\w.:])[a-zA-Z_:][\w:]*(?![\w:]*\s*\()")
_WORDS = {"and", "or", "unless", "on", "by", "without", "ignoring", "group_left", "group_right", "bool", "offset"}


def known_series() -> set[str]:
    """Every name that a series may have."""
    parts = ("_bucket", "_sum", "_count")
    service = {name + part for name, histogram in SERVICE.items() for part in (parts if histogram else ("",))}
    return service | EXPORTERS


def names_in(expression: str) -> set[str]:
    """The names of series that a PromQL expression asks for."""
    bare = re.sub(r"\[[^\]]*\]", "", _LABELS.sub(" ", _STRINGS.sub('""', expression)))
    return set(_NAME.findall(bare)) - _WORDS


def names_in_all(expressions: Iterable[str]) -> set[str]:
    """Those of all of them."""
    return {name for expression in expressions for name in names_in(expression)}
