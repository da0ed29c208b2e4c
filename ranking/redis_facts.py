"""What Redis says of itself to an operator: read, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from ranking.store import Store


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """One Redis or Valkey.

    version: of Redis, or the one of Redis that a Valkey is compatible with.
    bytes_max: 0 where it may take all of the machine.
    aof, aof_ok, rdb_ok: whether it writes each change down, and whether its last writes to the disk succeeded.
    saves: whether it writes a copy of all it holds now and then; None where it does not tell.
    clock: seconds since 1970.
    """

    product: str
    version: str
    shown_version: str
    policy: str
    bytes: int
    bytes_max: int
    aof: bool
    aof_ok: bool
    rdb_ok: bool
    saves: bool | None
    role: str
    clock: float


async def read_redis_facts(store: Store) -> RedisFacts:
    """Ask Redis.

    Raises:
        RanksUnavailable: it does not answer.
    """
    info: dict[str, Any] = await store.answered(store.redis.info())
    seconds, microseconds = await store.answered(store.redis.time())
    product = str(info.get("server_name", "redis"))
    version = str(info.get("redis_version", "0"))
    return RedisFacts(
        product=product,
        version=version,
        shown_version=str(info.get(f"{product}_version", version)),
        policy=str(info.get("maxmemory_policy", "")),
        bytes=int(info.get("used_memory", 0)),
        bytes_max=int(info.get("maxmemory", 0)),
        aof=bool(int(info.get("aof_enabled", 0))),
        aof_ok=str(info.get("aof_last_write_status", "ok")) == "ok",
        rdb_ok=str(info.get("rdb_last_bgsave_status", "ok")) == "ok",
        saves=await _saves(store),
        role=str(info.get("role", "master")),
        clock=seconds + microseconds / 1e6,
    )


async def _saves(store: Store) -> bool | None:
    """Managed ones do not let everybody read their configuration."""
    try:
        with store.guarded():
            found = await store.redis.config_get("save")
    except ResponseError:
        return None
    value = found.get("save")
    return None if value is None else bool(value)
