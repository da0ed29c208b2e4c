"""One migrator of a shard at a time: a second one waits for a moment and is then told who the first one is.

A lock of the session, so that it ends with the process that holds it. It is asked for again and again instead of being
waited for: a statement that waits holds a snapshot, and an index that is built concurrently waits for all of these.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import OperatorError
from domain.resilience.backoff import MIGRATION
from domain.resilience.limits import MIGRATOR_S_MAX

_LOCK = 0x5348_4D47  # "SHMG"
_TRY = text("select pg_try_advisory_lock(:lock)")
_RELEASE = text("select pg_advisory_unlock(:lock)")
_HOLDER = text("""
    select a.application_name, a.pid, a.backend_start
    from pg_locks as l
    join pg_stat_activity as a on a.pid = l.pid
    where l.locktype = 'advisory' and l.classid = 0 and l.objid = cast(cast(:lock as bigint) as oid) and l.objsubid = 1
        and l.granted and l.database = (select oid from pg_database where datname = current_database())
""")


@asynccontextmanager
async def hold_migrator_lock(connection: AsyncConnection, shard: str) -> AsyncIterator[None]:
    """Let nobody else migrate the shard within the block.

    Args:
        connection: the migrator's, to the Postgres itself and not within a transaction.

    Raises:
        OperatorError: somebody else migrates it; says who.
    """
    for rest_s in MIGRATION.rests(MIGRATOR_S_MAX):
        taken = await connection.scalar(_TRY, {"lock": _LOCK})
        holder: Row[str, int, datetime] | None = None
        if not taken:
            holder = (await connection.execute(_HOLDER, {"lock": _LOCK})).first()
        await connection.commit()
        if taken:
            break
        await asyncio.sleep(rest_s)
    else:
        raise _taken(shard, holder)
    try:
        yield
    finally:
        # Where the connection broke, the lock went with it.
        if not connection.invalidated:
            await connection.rollback()
            await connection.execute(_RELEASE, {"lock": _LOCK})
            await connection.commit()


def _taken(shard: str, holder: Row[str, int, datetime] | None) -> OperatorError:
    if holder is None:
        return OperatorError(f"Shard {shard} is being migrated by others, one after the other; run it again.")
    name, pid, since = holder
    return OperatorError(
        f"Shard {shard} is being migrated by {name or 'somebody without a name'}, since {since:%Y-%m-%d %H:%M:%S} UTC "
        f"(its server process is {pid}). Wait for its end and run it again."
    )
