"""Promise 8: what an API process holds when nobody asks it anything, before the faults and after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from tests.chaos.faults.service import FaultyService
from tests.chaos.history import Violation
from tests.waiting import until

# Connections are opened when needed and kept: at rest there may be more of them than there were, but no more than the
# pools hold: 4 lanes and 4 pooled a shard, and what the busiest moment needed of Redis.
_CONNECTIONS_MORE_MAX = 3 * 8 + 8
_TASKS_MORE_MAX = 4
_LOOKS = 8
_RSS_TIMES_MAX, _RSS_MORE_MB_MAX = 1.25, 24.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process holds; `descriptors` are all, those of connections too."""

    tasks: int
    connections: int
    descriptors: int
    rss_mb: float

    def __str__(self) -> str:
        return (
            f"{self.tasks} tasks, {self.connections} connections, {self.descriptors} descriptors, {self.rss_mb:.0f} MB"
        )


async def measure_usage(service: FaultyService) -> dict[str, Usage]:
    """What each API process holds once its clients have gone."""
    return {api.spec.name: await _measure(service, api.spec.name) for api in service.apis}


def check_usage(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> list[Violation]:
    """Everything that a process holds more of than it did."""
    violations = []
    for name, now in after.items():
        then = before[name]
        bounds = {
            "tasks": (now.tasks, then.tasks + _TASKS_MORE_MAX),
            "connections": (now.connections, then.connections + _CONNECTIONS_MORE_MAX),
            "descriptors": (now.descriptors, then.descriptors + _CONNECTIONS_MORE_MAX),
            "memory": (now.rss_mb, then.rss_mb * _RSS_TIMES_MAX + _RSS_MORE_MB_MAX),
        }
        for what, (held, bound) in bounds.items():
            if held > bound:
                violations.append(Violation("nothing leaks", f"{what} of {name}: before {then}; after {now}"))
    return violations


async def _measure(service: FaultyService, name: str) -> Usage:
    process = psutil.Process(service.api(name).pid)
    port = int(service.api_urls[name].rpartition(":")[2])
    await until(lambda: not any(each.laddr.port == port and each.raddr for each in process.net_connections()))
    # What goes on at rest, too, comes and goes: shards are asked what they own, ten tasks at a time.
    tasks = min([await service.task_count(service.api(name)) for _ in range(_LOOKS)])
    return Usage(
        tasks,
        len([each for each in process.net_connections() if each.status == psutil.CONN_ESTABLISHED]),
        process.num_fds(),
        process.memory_info().rss / 1e6,
    )
