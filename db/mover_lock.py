"""One mover at a time, and nobody who reads or writes whole shards beside it.

A lock of the session, so that it ends with the process that holds it; direct connections only, as a PgBouncer would
hand the session to somebody else.
"""

from __future__ import annotations

import getpass
import os
import socket
from contextlib import AsyncExitStack, suppress

import asyncpg

from db.errors import as_unavailable
from db.postgres import Postgres
from domain.errors import OperatorError, ShardboardError, Unavailable

_CLASS, _NUMBER = 0x5348, 0x4D56  # "SH", "MV"
_TRY = "select pg_try_advisory_lock($1, $2)"
_TRY_SHARED = "select pg_try_advisory_lock_shared($1, $2)"
_HOLDER = """
    select a.application_name, a.backend_start
    from pg_locks as l
    join pg_stat_activity as a on a.pid = l.pid
    where l.locktype = 'advisory' and l.classid = $1::bigint::oid and l.objid = $2::bigint::oid and l.granted
        and l.database = (select oid from pg_database where datname = current_database())
        and l.pid <> pg_backend_pid()
    order by a.backend_start
    limit 1
"""
# A holder whose machine is gone without a word is forgotten after half a minute.
_KEEPALIVES = "set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 4"
_ALIVE_TIMEOUT_S = 5.0


def describe_self(work: str) -> str:
    """Who asks for the lock, as others are told; at most 63 bytes, the length that Postgres keeps."""
    return f"shardboard {work} {getpass.getuser()}@{socket.gethostname()} pid {os.getpid()}"[:63]


class MoverLock:
    """The lock of one shard; `take` it, and `release` it at the end.

    Args:
        who: told to others who want it; see `describe_self`.
        shared: for work that only must not see buckets move, and may go on beside others of its kind.
    """

    def __init__(self, postgres: Postgres, who: str, *, shared: bool) -> None:
        self._postgres = postgres
        self._who = who
        self._shared = shared
        self._stack: AsyncExitStack | None = None
        self._connection: asyncpg.Connection | None = None

    async def take(self) -> None:
        """Take the lock, or see that it is still held: it is lost with its connection.

        Raises:
            Unavailable: the shard does not answer, or has not noticed yet that our earlier connection is gone.
            OperatorError: somebody else holds the lock; says who.
        """
        if self._connection is not None and await _answers(self._connection):
            return
        await self.release()
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self._postgres.raw())
            await connection.execute(_KEEPALIVES)
            await connection.execute("select set_config('application_name', $1, false)", self._who)
            if not await connection.fetchval(_TRY_SHARED if self._shared else _TRY, _CLASS, _NUMBER):
                holder = await connection.fetchrow(_HOLDER, _CLASS, _NUMBER)
                raise self._taken(holder)
            self._stack, self._connection = stack.pop_all(), connection

    async def release(self) -> None:
        """Let others have it."""
        stack, self._stack, self._connection = self._stack, None, None
        if stack is not None:
            with suppress(Unavailable):
                await stack.aclose()

    def _taken(self, holder: asyncpg.Record | None) -> ShardboardError:
        if holder is None or holder[0] == self._who:
            return Unavailable(f"Shard {self._postgres.name} is letting go of a lock; try again.")
        return OperatorError(
            f"Buckets are being worked on by {holder[0]}, since {holder[1]:%Y-%m-%d %H:%M:%S} UTC. Wait for its end, "
            "or see `shardboard shards status`."
        )


async def _answers(connection: asyncpg.Connection) -> bool:
    try:
        with as_unavailable("of the lock"):
            await connection.fetchval("select 1", timeout=_ALIVE_TIMEOUT_S)
    except Unavailable:
        return False
    return True


async def find_holder(postgres: Postgres) -> str | None:
    """Who holds the lock of a shard, alone or with others; None where nobody does.

    Raises:
        Unavailable: the shard does not answer.
    """
    rows = await postgres.call(_HOLDER, _CLASS, _NUMBER)
    return rows[0][0] if rows else None
