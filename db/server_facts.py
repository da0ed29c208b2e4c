"""What a Postgres has to be like to be a shard that buckets can move to and from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from db.address import dsn_of, require_files
from db.errors import as_unavailable
from db.postgres import Postgres

_SETTINGS = """
    select
        current_setting('server_version_num')::int / 10000 as major,
        current_setting('wal_level') as wal_level,
        current_setting('max_replication_slots')::int as slots_max,
        (select count(*)::int from pg_replication_slots) as slots_used,
        current_setting('max_wal_senders')::int as senders_max,
        (select count(*)::int from pg_stat_replication) as senders_used,
        current_setting('max_logical_replication_workers')::int as workers_max,
        pg_database_size(current_database()) as bytes,
        (select rolreplication or rolsuper from pg_roles where rolname = current_user) as may_replicate,
        {may_subscribe} as may_subscribe,
        current_setting('server_encoding') as encoding
"""
# The role came with 16; before, only superusers may subscribe.
_SETTINGS_16 = _SETTINGS.format(may_subscribe="pg_has_role(current_user, 'pg_create_subscription', 'usage')")
_SETTINGS_15 = _SETTINGS.format(may_subscribe="(select rolsuper from pg_roles where rolname = current_user)")
_TABLES = """
    select c.relname::text
    from pg_class as c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
    order by 1
"""
_IDENTITY = "select system_identifier::text || '/' || current_database() from pg_control_system()"
_VERSION = "select version_num from alembic_version"
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Settings of a server, and what of them is in use; `bytes` is the size of the database."""

    major: int
    wal_level: str
    slots_max: int
    slots_used: int
    senders_max: int
    senders_used: int
    workers_max: int
    bytes: int
    may_replicate: bool
    may_subscribe: bool
    encoding: str


async def read_server_facts(postgres: Postgres) -> ServerFacts:
    """The facts of a shard.

    Raises:
        Unavailable: it does not answer.
    """
    ((major,),) = await postgres.call("select current_setting('server_version_num')::int / 10000")
    (row,) = await postgres.call(_SETTINGS_16 if major >= 16 else _SETTINGS_15, timeout_s=_TIMEOUT_S)
    return ServerFacts(*row)


async def read_schema_version(postgres: Postgres) -> str:
    """The schema version of a shard.

    Raises:
        Unavailable: it does not answer.
    """
    ((version,),) = await postgres.call(_VERSION)
    return str(version)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A Postgres that is to become a shard: its facts, its tables, and the name of the shard that it is already.

    identity: tells this database from any other, whichever way leads to it.
    """

    facts: ServerFacts
    tables: list[str]
    shard_name: str | None
    identity: str


async def read_candidate(name: str, url: str) -> Candidate:
    """Look at a Postgres that may be no shard yet.

    Raises:
        Unavailable: it does not answer, or does not let us in.
    """
    async with _connected(name, url) as connection:
        major = connection.get_server_version().major
        row = await connection.fetchrow(_SETTINGS_16 if major >= 16 else _SETTINGS_15, timeout=_TIMEOUT_S)
        tables = [table for (table,) in await connection.fetch(_TABLES)]
        shard = await connection.fetchval("select name from shard_info") if "shard_info" in tables else None
        identity = await connection.fetchval(_IDENTITY)
    return Candidate(ServerFacts(*row), tables, shard, identity)


async def read_identity(name: str, url: str) -> str:
    """What tells the database at an address from any other; asked by a role that may not read anything there yet.

    Raises:
        Unavailable: it does not answer, or does not let us in.
    """
    async with _connected(name, url) as connection:
        return str(await connection.fetchval(_IDENTITY))


@asynccontextmanager
async def _connected(name: str, url: str) -> AsyncIterator[asyncpg.Connection]:
    require_files(url)
    with as_unavailable(name):
        connection = await asyncpg.connect(dsn_of(url), timeout=_TIMEOUT_S, statement_cache_size=0)
        try:
            yield connection
        finally:
            await connection.close(timeout=_TIMEOUT_S)
