"""Connections to Redis that say that they broke in the one way that is understood, whatever loop they run on."""

from __future__ import annotations

from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from ranking.traced import traced


def sturdy(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """The same kind of connection, of which one that is closed already is one that broke: it is opened anew.

    A peer that resets closes the transport at once, and redis-py may write to it before it learns of that. asyncio
    ignores such a write, uvloop raises RuntimeError, which redis-py takes for a mistake of its caller.
    """

    class Sturdy(kind):  # type: ignore[misc,valid-type]
        async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
            try:
                await super().send_packed_command(*args, **kwargs)
            except RuntimeError as error:
                raise RedisConnectionError(f"the connection is closed: {error}") from error

    return traced(Sturdy)
