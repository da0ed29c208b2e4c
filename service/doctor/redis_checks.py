"""What may be wrong with the Redis that holds the ranks."""

from __future__ import annotations

import time

from ranking.keys import BoardKeys
from ranking.marks import Marks
from ranking.redis_facts import RedisFacts, read_redis_facts
from ranking.store import Store
from service.doctor.clocks import judge_clock
from service.doctor.finding import Finding, Severity

_VERSION_MIN = (6, 2)
_FULL_SHARE_WARNED, _FULL_SHARE_MAX = 0.8, 0.95
ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


async def check_redis(store: Store) -> list[Finding]:
    """Version, settings, memory, disk, clock."""
    before = time.time()
    facts = await read_redis_facts(store)
    return judge_redis(facts) + judge_clock("redis", facts.clock, before, time.time())


async def check_ranks(store: Store, keys: BoardKeys) -> list[Finding]:
    """Whether there are ranks."""
    if await Marks(store, keys).ready():
        return []
    return [
        Finding(
            WARNING, "redis", "ranks", "There are no ranks: they are counted by SQL, slower, or are null.",
            "API processes build them anew by themselves; without one, `shardboard ranks rebuild`.",
        )
    ]  # fmt: skip


def judge_redis(facts: RedisFacts) -> list[Finding]:
    """What is not as it should be."""
    found = [*_judge_persistence(facts)]
    version = tuple(int(part) for part in facts.version.split(".")[:2] if part.isdigit())
    if version < _VERSION_MIN:
        found.append(
            Finding(
                ERROR, "redis", "redis_version", f"{facts.product} {facts.shown_version} is too old.",
                "Redis 6.2 or newer, or any Valkey.",
            )
        )  # fmt: skip
    if facts.policy not in ("", "noeviction"):
        found.append(
            Finding(
                ERROR if facts.policy.startswith("allkeys") else WARNING, "redis", "maxmemory_policy",
                f"maxmemory-policy is {facts.policy}: when its memory is full, ranks or used ids vanish unnoticed.",
                "`config set maxmemory-policy noeviction`, and in its configuration file.",
            )
        )  # fmt: skip
    if facts.bytes_max and facts.bytes > _FULL_SHARE_WARNED * facts.bytes_max:
        found.append(
            Finding(
                ERROR if facts.bytes > _FULL_SHARE_MAX * facts.bytes_max else WARNING, "redis", "memory",
                f"It uses {100 * facts.bytes / facts.bytes_max:.0f} % of maxmemory: full, it refuses new ranks.",
                f"`config set maxmemory {2 * facts.bytes}`, on a machine that has it.",
            )
        )  # fmt: skip
    if facts.role != "master":
        found.append(
            Finding(
                ERROR, "redis", "redis_role", "The address leads to a replica, which takes no writes.",
                "Set SHARDBOARD_REDIS_URL to the primary.",
            )
        )  # fmt: skip
    return found


def _judge_persistence(facts: RedisFacts) -> list[Finding]:
    found = []
    if not facts.aof and not facts.saves:
        unknown = " (it does not tell of `save`)" if facts.saves is None else ""
        found.append(
            Finding(
                NOTE if facts.saves is None else WARNING, "redis", "persistence",
                f"Nothing is written to its disk{unknown}: after each restart all ranks are built anew, and SQL counts "
                "them meanwhile.",
                "`config set appendonly yes`, and in its configuration file.",
            )
        )  # fmt: skip
    if (facts.aof and not facts.aof_ok) or not facts.rdb_ok:
        found.append(
            Finding(
                ERROR, "redis", "disk", "Its last write to the disk failed: it may refuse all writes (MISCONF).",
                "Make room on its disk; its log says what happened.",
            )
        )  # fmt: skip
    return found
