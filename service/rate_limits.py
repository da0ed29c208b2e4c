"""How much each caller may ask a minute, over all processes; each process for itself while Redis is away."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import Literal, NamedTuple

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from domain.access import Caller
from domain.errors import RateLimited
from ranking.keys import RATE_LIMITS_PREFIX
from ranking.store import RanksUnavailable, Store

Kind = Literal["submissions", "reads"]

WINDOW_S = 60

# Whoever is refused is not asked about again before something may have changed: a flood costs Redis nothing.
_REFUSED_MAX = 10_000
# Counted here while Redis is away; the library looks through all of them each time.
_COUNTED_HERE_MAX = 10_000


class Allowance(NamedTuple):
    """What a caller has left: `limit` a minute, `remaining` of it, more after `reset_s` seconds."""

    limit: int
    remaining: int
    reset_s: int


class RateLimits:
    """Counts what callers ask for in a sliding window of a minute, kept by the clock of Redis."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # The connections of the store: its address, passwords and certificates hold here, too.
        shared = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix=RATE_LIMITS_PREFIX,
            connection_pool=store.redis.connection_pool,  # type: ignore[arg-type]  # handed on to redis-py
        )
        self._shared = SlidingWindowCounterRateLimiter(shared)
        self._memory = MemoryStorage()
        self._alone = SlidingWindowCounterRateLimiter(self._memory)
        self._refused: OrderedDict[tuple[str, Kind], float] = OrderedDict()

    async def take(self, caller: Caller, kind: Kind, cost: int = 1) -> Allowance | None:
        """Count `cost` submissions or reads of a caller, all of them or none.

        Returns:
            What is left then; None for a caller without a limit.

        Raises:
            RateLimited: there is not so much left; nothing was counted.
        """
        limit = _limit_of(caller, kind)
        if limit == 0 or cost == 0:
            return None
        wait_s = self._wait_s(caller, kind)
        if wait_s > 0:
            raise _refusal(caller, kind, limit, cost, wait_s)
        taken, allowance = await self._hit(caller, kind, limit, cost)
        if not taken:
            if allowance.remaining == 0:
                self._remember(caller, kind, allowance.reset_s)
            raise _refusal(caller, kind, limit, cost, allowance.reset_s)
        return allowance

    async def take_up_to(self, caller: Caller, kind: Kind, wanted: int) -> tuple[int, RateLimited | None]:
        """Count as many of `wanted` as there are left: how many, and the refusal of the others."""
        while wanted:
            try:
                await self.take(caller, kind, wanted)
            except RateLimited as refusal:
                fits = await self.remaining(caller, kind)
                if fits == 0:
                    return 0, refusal
                # Another request may take some of it meanwhile, so it is less each time and comes to an end.
                taken, _ = await self.take_up_to(caller, kind, min(fits, wanted - 1))
                return taken, refusal
            return wanted, None
        return 0, None

    async def remaining(self, caller: Caller, kind: Kind) -> int:
        """How many a caller with a limit has left now."""
        limit = _limit_of(caller, kind)
        if self._wait_s(caller, kind) > 0:
            return 0
        item = RateLimitItemPerMinute(limit, namespace=kind)
        try:
            with self._store.guarded():
                return (await self._shared.get_window_stats(item, caller.name)).remaining
        except RanksUnavailable:
            return (await self._alone.get_window_stats(item, caller.name)).remaining

    async def _hit(self, caller: Caller, kind: Kind, limit: int, cost: int) -> tuple[bool, Allowance]:
        item = RateLimitItemPerMinute(limit, namespace=kind)
        try:
            with self._store.guarded():
                taken = await self._shared.hit(item, caller.name, cost=cost)
                stats = await self._shared.get_window_stats(item, caller.name)
        except RanksUnavailable:
            if len(self._memory.storage) > _COUNTED_HERE_MAX:
                await self._memory.reset()
            taken = await self._alone.hit(item, caller.name, cost=cost)
            stats = await self._alone.get_window_stats(item, caller.name)
        reset_s = min(max(math.ceil(stats.reset_time - time.time()), 1), WINDOW_S)
        return taken, Allowance(limit, stats.remaining, reset_s)

    def _wait_s(self, caller: Caller, kind: Kind) -> int:
        until = self._refused.get((caller.name, kind), 0.0)
        return max(math.ceil(until - time.monotonic()), 0)

    def _remember(self, caller: Caller, kind: Kind, reset_s: int) -> None:
        self._refused[caller.name, kind] = time.monotonic() + reset_s
        if len(self._refused) > _REFUSED_MAX:
            self._refused.popitem(last=False)


def _limit_of(caller: Caller, kind: Kind) -> int:
    return caller.submissions_per_minute if kind == "submissions" else caller.reads_per_minute


def _refusal(caller: Caller, kind: Kind, limit: int, cost: int, retry_after_s: int) -> RateLimited:
    who = {"address": "An address without a key", "key": "This key", "player": "A player"}[caller.kind]
    if cost > limit:
        more = f"this request alone has {cost}, so it can never pass; send fewer at once"
    else:
        more = f"try again in {retry_after_s} s"
    return RateLimited(f"{who} may send {limit} {kind} a minute; {more}.", retry_after_s, limit)
