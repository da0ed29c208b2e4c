"""What this process can tell of itself without asking anybody: looked at once a second."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from app.metrics.merge import read_merged
from app.metrics.summary import SAMPLE_INTERVAL_S, Summary
from domain.metrics.catalogue import (
    LOOP_LATENESS,
    METRICS,
    POOL_CONNECTIONS,
    POOL_CONNECTIONS_MAX,
    PROCESS_CPU,
    PROCESS_MEMORY,
    PROCESSES,
    REDIS_UP,
    SHARD_UP,
    WATCHERS,
    WRITE_QUEUE_DEPTH,
)
from domain.resilience.breaker import Breaker, State
from domain.tasks import Background
from service.parts import Parts
from sharding.shard import Shard

logger = logging.getLogger(__name__)

INTERVAL_S = 1.0
_AWAY = (State.OPEN, State.HALF_OPEN)
_STATM = Path("/proc/self/statm")


class Observer(Background):
    """Tells the metrics of queues, connections, breakers, watchers and the process.

    Args:
        count_watchers: who watches now, by transport.
        directory: where the machine's processes keep their numbers.
    """

    def __init__(
        self, parts: Parts, count_watchers: Callable[[], Counter[str]], summary: Summary, directory: Path | None
    ) -> None:
        self._parts = parts
        self._count_watchers = count_watchers
        self._summary = summary
        self._directory = directory
        self._seen: set[str] = set()
        self._cpu_s = 0.0

    async def _forever(self) -> None:
        sample_at = due_at = time.monotonic()
        while True:
            now = time.monotonic()
            LOOP_LATENESS.of().set(max(0.0, now - due_at))
            try:
                self._look()
                if now >= sample_at:
                    sample_at = now + SAMPLE_INTERVAL_S
                    self._summary.sample(read_merged(METRICS, self._directory))
            except Exception:
                logger.exception("the process was not looked at for the metrics; it is looked at again")
            due_at = now + INTERVAL_S
            await asyncio.sleep(INTERVAL_S)

    def _look(self) -> None:
        shards = self._parts.router.shards
        for shard in shards.values():
            _look_at_shard(shard)
        for gone in self._seen - shards.keys():
            _forget(gone)
        self._seen = set(shards)
        REDIS_UP.of().set(_is_up(self._parts.store.breaker))
        counted = self._count_watchers()
        for transport in ("websocket", "sse"):
            WATCHERS.of(transport).set(counted[transport])
        self._look_at_process()

    def _look_at_process(self) -> None:
        PROCESSES.of().set(1)
        cpu_s = time.process_time()
        PROCESS_CPU.of().add(cpu_s - self._cpu_s)
        self._cpu_s = cpu_s
        if _STATM.exists():  # Linux alone
            PROCESS_MEMORY.of().set(int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))


def _look_at_shard(shard: Shard) -> None:
    name, postgres = shard.name, shard.postgres
    busy, idle = postgres.connections()
    POOL_CONNECTIONS.of(name, "busy").set(busy)
    POOL_CONNECTIONS.of(name, "idle").set(idle)
    POOL_CONNECTIONS_MAX.of(name).set(postgres.connections_max)
    WRITE_QUEUE_DEPTH.of(name).set(shard.writer.waiting)
    SHARD_UP.of(name).set(_is_up(postgres.breaker))


def _forget(shard: str) -> None:
    for gauge in (POOL_CONNECTIONS_MAX, WRITE_QUEUE_DEPTH, SHARD_UP):
        gauge.of(shard).clear()
    for state in ("busy", "idle"):
        POOL_CONNECTIONS.of(shard, state).clear()


def _is_up(breaker: Breaker) -> int:
    return int(breaker.state not in _AWAY)
