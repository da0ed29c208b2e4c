"""The settings of PostgreSQL and PgBouncer, taken from the files that `make up` and docker-compose.yml use, too."""

from __future__ import annotations

import re
from pathlib import Path

from infra.kubernetes.quantity import mebibytes

_INFRA = Path(__file__).parents[1]
_POSTGRES = _INFRA / "postgres" / "postgresql.conf"
_PGBOUNCER = (_INFRA / "pgbouncer" / "pgbouncer.ini", _INFRA / "pgbouncer" / "prepared.ini")

# CloudNativePG writes the log as JSON with fields of its own.
_POSTGRES_LEFT_OUT = {"log_line_prefix"}
# Said elsewhere in the Pooler (pool_mode), or the operator's own business: how it listens and who may log in.
_PGBOUNCER_LEFT_OUT = {
    "pool_mode",
    "auth_type",
    "stats_users",
    "unix_socket_dir",
    "ignore_startup_parameters",
    "log_stats",
}


def postgres_parameters(memory: str) -> dict[str, str]:
    """For a PostgreSQL with so much memory: those of all, and buffers in the usual parts of it."""
    parameters = {
        name: value.strip("'")
        for name, value in re.findall(r"^(\w+) = (.+)$", _POSTGRES.read_text(encoding="utf-8"), re.MULTILINE)
        if name not in _POSTGRES_LEFT_OUT
    }
    mib = mebibytes(memory)
    parameters["shared_buffers"] = f"{mib // 4}MB"
    parameters["effective_cache_size"] = f"{mib * 3 // 4}MB"
    parameters["maintenance_work_mem"] = f"{max(64, min(1024, mib // 32))}MB"
    return dict(sorted(parameters.items()))


def pgbouncer_parameters(connections: int, instances: int) -> dict[str, str]:
    """For each of the PgBouncers of a shard, which share `connections` to its PostgreSQL among them."""
    parameters = {
        name: value
        for path in _PGBOUNCER
        for name, value in re.findall(r"^(\w+) =[ ]?(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        if name not in _PGBOUNCER_LEFT_OUT
    }
    each = max(5, connections // instances)
    parameters["max_db_connections"] = str(each)
    parameters["default_pool_size"] = str(max(4, each - int(parameters["reserve_pool_size"])))
    parameters["reserve_pool_size"] = str(each - int(parameters["default_pool_size"]))
    return dict(sorted(parameters.items()))
