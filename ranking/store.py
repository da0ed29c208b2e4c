"""The connection to Redis (or Valkey) and the scripts that run inside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from domain.coalescer import Coalescer
from domain.errors import Unavailable
from domain.resilience.breaker import Breaker
from domain.resilience.limits import REDIS_DOUBT_S, REDIS_PROBE_S_MAX, RETRY_AWAY_S
from ranking.keys import BoardKeys
from ranking.redis_address import close_redis, look_at, make_redis, refuse_cluster

_NOT_NOW = (OutOfMemoryError, ReadOnlyError, ClusterDownError, MasterDownError, TryAgainError)
# Answers for which redis-py has no class.
_NOT_NOW_WORDS = ("MISCONF", "BUSY", "NOREPLICAS")

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class RanksUnavailable(Unavailable):
    """Redis does not answer, or its ranks are being rebuilt; ranks come from SQL or are null."""


class Store:
    """Redis, asked with a deadline, and not at all while its breaker is open."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self.redis = make_redis(url, timeout_s=timeout_s)
        scripts = Path(__file__).parent / "scripts"
        self._apply, self._read, self._top, self._slice, self._relay_check, self._build, self._swap, self._seen = (
            self.redis.register_script((scripts / f"{name}.lua").read_text())
            for name in ("apply", "read", "top", "slice", "relay_check", "build", "swap", "seen")
        )
        self._find_document, self._keep_document = (
            self.redis.register_script((scripts / f"{name}.lua").read_text())
            for name in ("find_document", "keep_document")
        )
        self.breaker = Breaker("Redis", partial(look_at, self.redis), _refuse, probe_s_max=REDIS_PROBE_S_MAX)

    async def open(self) -> None:
        """See that it is a Redis that can hold the ranks; one that does not answer now may do so later.

        Raises:
            OperatorError: it is a Redis Cluster.
        """
        with suppress(RedisError, OSError, TimeoutError):
            await refuse_cluster(self.redis)

    async def close(self) -> None:
        """Close every connection."""
        await self.breaker.close()
        await close_redis(self.redis)

    async def answers(self) -> bool:
        """Whether Redis answers now, asked without regard to an earlier failure."""
        try:
            return bool(await self.redis.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def answered(self, awaitable: Awaitable[Answer]) -> Answer:
        """The answer of Redis.

        Raises:
            RanksUnavailable: there is none, or Redis has not answered anything of late.
        """
        try:
            with self.guarded():
                return await awaitable
        finally:
            # What was not even asked must not complain that nobody awaited it.
            if isinstance(awaitable, Coroutine):
                awaitable.close()

    def guarded(self) -> _Guard:
        """Turns failures of Redis in a block into `RanksUnavailable`: `with store.guarded(): …`."""
        return _Guard(self.breaker)

    def coalesce(
        self,
        flush: Callable[[list[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        work: str,
        slots: int,
        batch_max: int,
        queue_max: int,
    ) -> Coalescer[Item, Answer]:
        """A coalescer of questions to Redis, in which nothing waits while Redis is away; see `Coalescer`."""
        coalescer = Coalescer(
            flush,
            name="Redis",
            work=work,
            slots=slots,
            batch_max=batch_max,
            queue_max=queue_max,
            admit=self.breaker.require,
        )
        self.breaker.watch(coalescer.refuse_waiting)
        return coalescer

    async def apply(self, keys: BoardKeys, arguments: Sequence[bytes | int]) -> list[int]:
        """Run apply.lua."""
        with self.guarded():
            answer: list[int] = await self._apply(
                [keys.ranks, keys.rows, keys.ready, keys.version, keys.building, keys.ranks_next, keys.rows_next],
                arguments,
            )
        return answer

    async def read(self, keys: BoardKeys, members: Sequence[bytes]) -> list[Any]:
        """Run read.lua."""
        with self.guarded():
            answer: list[Any] = await self._read([keys.ranks, keys.rows, keys.ready], members)
        return answer

    async def top(self, keys: BoardKeys, arguments: Sequence[int]) -> list[Any]:
        """Run top.lua."""
        with self.guarded():
            answer: list[Any] = await self._top([keys.ranks, keys.rows, keys.ready, keys.version], arguments)
        return answer

    async def slice(self, keys: BoardKeys, arguments: Sequence[bytes | int | str]) -> list[Any]:
        """Run slice.lua."""
        with self.guarded():
            answer: list[Any] = await self._slice([keys.ranks, keys.rows, keys.ready], arguments)
        return answer

    async def relay_check(self, keys: BoardKeys, arguments: Sequence[bytes | str]) -> list[int]:
        """Run relay_check.lua."""
        with self.guarded():
            answer: list[int] = await self._relay_check([keys.rows, keys.ready, keys.marks], arguments)
        return answer

    async def build(self, keys: BoardKeys, arguments: Sequence[bytes | str | int]) -> int:
        """Run build.lua."""
        with self.guarded():
            answer: int = await self._build([keys.building, keys.ranks_next, keys.rows_next], arguments)
        return answer

    async def swap(self, keys: BoardKeys, arguments: Sequence[str | int]) -> int:
        """Run swap.lua."""
        with self.guarded():
            answer: int = await self._swap(
                [
                    keys.building,
                    keys.ranks_next,
                    keys.rows_next,
                    keys.ranks,
                    keys.rows,
                    keys.ready,
                    keys.marks,
                    keys.version,
                ],
                arguments,
            )
        return answer

    async def seen(self, filters: Sequence[str], arguments: Sequence[int | bytes | str]) -> list[bytes]:
        """Run seen.lua."""
        with self.guarded():
            answer: list[bytes] = await self._seen(filters, arguments)
        return answer

    async def find_document(self, keys: Sequence[str], arguments: Sequence[str]) -> bytes | None:
        """Run find_document.lua."""
        with self.guarded():
            answer: bytes | None = await self._find_document(keys, arguments)
        return answer

    async def keep_document(self, keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> None:
        """Run keep_document.lua."""
        with self.guarded():
            await self._keep_document(keys, arguments)


class _Guard:
    """A block in which Redis is asked. A class, as a generator would cost more than all the rest of a command."""

    __slots__ = ("_breaker", "_doubt")

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def __enter__(self) -> None:
        self._breaker.require()
        self._doubt = asyncio.get_running_loop().call_later(REDIS_DOUBT_S, self._breaker.doubt)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._doubt.cancel()
        if error is None or isinstance(error, ResponseError):
            self._breaker.answered()
            if error is not None and _says_not_now(error):
                raise _refuse() from error
        elif isinstance(error, (RedisError, OSError, TimeoutError)):
            self._breaker.doubt()
            raise _refuse() from error


def _refuse() -> RanksUnavailable:
    return RanksUnavailable("Ranks are unavailable: Redis does not answer; try again shortly.", RETRY_AWAY_S)


def _says_not_now(error: ResponseError) -> bool:
    """Whether Redis would do what it was asked at another time: it is full, no longer the primary, busy, …"""
    return isinstance(error, _NOT_NOW) or str(error).startswith(_NOT_NOW_WORDS)
