"""The connection to Redis (or Valkey) and the scripts that run inside it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from domain.errors import Unavailable
from ranking.keys import BoardKeys

# After a failure nobody waits for Redis again until so much time has passed: a Redis that hangs would otherwise cost
# every request its whole time-out.
_REST_AFTER_FAILURE_S = 0.25

_NOT_NOW = (OutOfMemoryError, ReadOnlyError, ClusterDownError, MasterDownError, TryAgainError)
# Answers for which redis-py has no class.
_NOT_NOW_WORDS = ("MISCONF", "BUSY", "NOREPLICAS")

Answer = TypeVar("Answer")


class RanksUnavailable(Unavailable):
    """Redis does not answer, or its ranks are being rebuilt; ranks come from SQL or are null."""


class Store:
    """Redis, asked with a deadline and left alone for a moment after it failed."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self.redis = Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 1),
            protocol=2,
        )
        scripts = Path(__file__).parent / "scripts"
        self._apply, self._read, self._top, self._slice, self._relay_check, self._build, self._swap, self._seen = (
            self.redis.register_script((scripts / f"{name}.lua").read_text())
            for name in ("apply", "read", "top", "slice", "relay_check", "build", "swap", "seen")
        )
        self._rest_until = 0.0

    async def close(self) -> None:
        """Close every connection."""
        await self.redis.aclose()

    async def answers(self) -> bool:
        """Whether Redis answers now, asked without regard to an earlier failure."""
        try:
            return bool(await self.redis.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def answered(self, awaitable: Awaitable[Answer]) -> Answer:
        """The answer of Redis.

        Raises:
            RanksUnavailable: there is none, or Redis is left alone after a failure a moment ago.
        """
        try:
            async with self.guarded():
                return await awaitable
        finally:
            # What was not even asked must not complain that nobody awaited it.
            if isinstance(awaitable, Coroutine):
                awaitable.close()

    @asynccontextmanager
    async def guarded(self) -> AsyncIterator[None]:
        """Turn failures of Redis in the block into `RanksUnavailable`."""
        if time.monotonic() < self._rest_until:
            raise RanksUnavailable("Ranks are unavailable: Redis does not answer; try again shortly.")
        try:
            yield
        except (RedisError, OSError, TimeoutError) as error:
            if isinstance(error, ResponseError) and not _says_not_now(error):
                raise
            self._rest_until = time.monotonic() + _REST_AFTER_FAILURE_S
            raise RanksUnavailable("Ranks are unavailable: Redis does not answer; try again shortly.") from error

    async def apply(self, keys: BoardKeys, arguments: Sequence[bytes | int]) -> list[int]:
        """Run apply.lua."""
        async with self.guarded():
            answer: list[int] = await self._apply(
                [keys.ranks, keys.rows, keys.ready, keys.version, keys.building, keys.ranks_next, keys.rows_next],
                arguments,
            )
        return answer

    async def read(self, keys: BoardKeys, members: Sequence[bytes]) -> list[Any]:
        """Run read.lua."""
        async with self.guarded():
            answer: list[Any] = await self._read([keys.ranks, keys.rows, keys.ready], members)
        return answer

    async def top(self, keys: BoardKeys, arguments: Sequence[int]) -> list[Any]:
        """Run top.lua."""
        async with self.guarded():
            answer: list[Any] = await self._top([keys.ranks, keys.rows, keys.ready, keys.version], arguments)
        return answer

    async def slice(self, keys: BoardKeys, arguments: Sequence[bytes | int | str]) -> list[Any]:
        """Run slice.lua."""
        async with self.guarded():
            answer: list[Any] = await self._slice([keys.ranks, keys.rows, keys.ready], arguments)
        return answer

    async def relay_check(self, keys: BoardKeys, arguments: Sequence[bytes | str]) -> list[int]:
        """Run relay_check.lua."""
        async with self.guarded():
            answer: list[int] = await self._relay_check([keys.rows, keys.ready, keys.marks], arguments)
        return answer

    async def build(self, keys: BoardKeys, arguments: Sequence[bytes | str | int]) -> int:
        """Run build.lua."""
        async with self.guarded():
            answer: int = await self._build([keys.building, keys.ranks_next, keys.rows_next], arguments)
        return answer

    async def swap(self, keys: BoardKeys, arguments: Sequence[str | int]) -> int:
        """Run swap.lua."""
        async with self.guarded():
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

    async def seen(self, filters: Sequence[str], arguments: Sequence[int | bytes]) -> list[bytes]:
        """Run seen.lua."""
        async with self.guarded():
            answer: list[bytes] = await self._seen(filters, arguments)
        return answer


def _says_not_now(error: ResponseError) -> bool:
    """Whether Redis would do what it was asked at another time: it is full, no longer the primary, busy, …"""
    return isinstance(error, _NOT_NOW) or str(error).startswith(_NOT_NOW_WORDS)
