"""Which processes serve a shard: each says so every few seconds, so that an upgrade knows whom it would break.

Through a PgBouncer a connection does not tell whose it is; a list on the shard does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.postgres import Postgres
from db.schema import SchemaState
from domain.resilience.limits import SERVING_FORGOTTEN_S

_NOTE = "select revision, contracted_to from note_serving($1, $2, $3, $4, $5)"
_FORGET = "select forget_serving($1)"
_LIST = f"""
    select process_id, version, schema_known, host, pid, extract(epoch from clock_timestamp() - seen_at)::float8
    from serving_processes
    where seen_at > clock_timestamp() - make_interval(secs => {SERVING_FORGOTTEN_S})
    order by schema_known, host, pid
"""
_SHOWN_MAX = 5
_EXISTS = text("select to_regclass('serving_processes') is not null")
# Who wants to say that it serves waits for the end of the transaction; see note_serving.
_LOCK = text("lock table serving_processes in share row exclusive mode")


@dataclass(frozen=True, slots=True)
class ServingProcess:
    """One process.

    schema_known: the newest migration that it knows.
    seen_s: how long ago it said that it serves, in seconds.
    """

    process_id: UUID
    version: str
    schema_known: str
    host: str
    pid: int
    seen_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.version} (schema {self.schema_known}) on {self.host}, pid {self.pid}"


async def note_serving(postgres: Postgres, process: ServingProcess) -> SchemaState:
    """Say that a process serves the shard; gives the state of its tables.

    Raises:
        Unavailable: the shard does not answer.
    """
    ((revision, contracted_to),) = await postgres.call(
        _NOTE, process.process_id, process.version, process.schema_known, process.host, process.pid
    )
    return SchemaState(revision, contracted_to)


async def forget_serving(postgres: Postgres, process: ServingProcess) -> None:
    """Say that it serves no more.

    Raises:
        Unavailable: the shard does not answer; the process is forgotten after half a minute.
    """
    await postgres.call(_FORGET, process.process_id)


async def list_serving(postgres: Postgres) -> list[ServingProcess]:
    """Who serves the shard, as its owner sees it, the oldest version first; nobody on tables that do not know.

    Raises:
        Unavailable: the shard does not answer.
    """
    try:
        return [ServingProcess(*row) for row in await postgres.call(_LIST)]
    except asyncpg.UndefinedTableError:
        return []


def why_not_contracted(revision: str, serving: Iterable[ServingProcess]) -> str | None:
    """Why a contract migration may not be run, in a sentence; None where it may: all who serve know it."""
    older = list(dict.fromkeys(str(each) for each in serving if each.schema_known < revision))
    if not older:
        return None
    shown = "; ".join(older[:_SHOWN_MAX]) + (f"; and {len(older) - _SHOWN_MAX} more" if len(older) > _SHOWN_MAX else "")
    return (
        f"Migration {revision} (contract) takes away what processes of an older version use that serve now: {shown}. "
        f"End them; {SERVING_FORGOTTEN_S:.0f} s after one died without a word it counts no more."
    )


async def list_serving_locked(connection: AsyncConnection) -> list[ServingProcess]:
    """The same, and nobody begins to serve until the transaction of `connection` ends."""
    if not await connection.scalar(_EXISTS):
        return []
    await connection.execute(_LOCK)
    return [ServingProcess(*row) for row in (await connection.execute(text(_LIST))).all()]
