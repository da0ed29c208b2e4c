"""What stands before a Postgres, found out by using it: nobody has to let us into a PgBouncer's console."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Literal

import asyncpg

from db.address import dsn_of, require_files
from db.errors import as_unavailable

_CONNECT_TIMEOUT_S = 3.0
_ASK_TIMEOUT_S = 3.0
# So often two clients are given a server each before it counts that they never were given the same.
_LOOKS = 12


@dataclass(frozen=True, slots=True)
class Pooler:
    """Whether there is a pooler, and how it gives its servers to clients."""

    mode: Literal["none", "session", "transaction", "statement"]


async def look_at_pooler(name: str, url: str) -> Pooler:
    """Ask two connections which server they are on, again and again.

    In transaction pooling the server that the first one just left is given to the second one sooner or later; in
    session pooling each keeps its own.

    Raises:
        Unavailable: the shard does not answer.
    """
    require_files(url)
    async with AsyncExitStack() as stack:
        with as_unavailable(name):
            first, second = [
                await asyncpg.connect(dsn_of(url), timeout=_CONNECT_TIMEOUT_S, statement_cache_size=0) for _ in range(2)
            ]
            stack.callback(first.terminate)
            stack.callback(second.terminate)
            pids: tuple[set[int], set[int]] = (set(), set())
            for _ in range(_LOOKS):
                try:
                    for connection, seen in zip((first, second), pids, strict=True):
                        seen.add(await _server_of(connection))
                except asyncpg.PostgresError as error:
                    if "statement pooling" in str(error):
                        return Pooler("statement")
                    raise
                if pids[0] == {first.get_server_pid()}:
                    return Pooler("none")
                if pids[0] & pids[1] or len(pids[0]) > 1:
                    return Pooler("transaction")
    return Pooler("session")


async def _server_of(connection: asyncpg.Connection) -> int:
    async with connection.transaction():
        return int(await connection.fetchval("select pg_backend_pid()", timeout=_ASK_TIMEOUT_S))
