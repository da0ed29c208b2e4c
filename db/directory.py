"""Where every shard is reached: each shard keeps the whole list, so that there is no directory server to lose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import asyncpg

from db.postgres import Postgres

_READ = "select name, url, direct_url, removed, capacity_bytes, version from shard_directory"
_READ_AS_SERVICE = "select name, url, '', removed, capacity_bytes, version from shard_directory"

_WRITE = """
    insert into shard_directory as d (name, url, direct_url, removed, capacity_bytes, version)
    select * from unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::bigint[], $6::bigint[])
    on conflict on constraint shard_directory_pkey do update set
        url = excluded.url,
        direct_url = excluded.direct_url,
        removed = excluded.removed,
        capacity_bytes = excluded.capacity_bytes,
        version = excluded.version
    where d.version < excluded.version
"""


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """One shard of the deployment.

    url: through its PgBouncer; carries all traffic.
    direct_url: to the Postgres itself; for migrations, moves and the other shards' subscriptions. Empty for what only
        serves, which is not to know the owner's password.
    removed: whether it was taken out of the deployment; the entry stays so that nobody takes an old one for true.
    capacity_bytes: how large its database may get by moves; None where the operator set no limit.
    version: of two entries of one shard the higher one is the newer.
    replicas: to its read replicas, as the service's role; only the settings name these.
    """

    name: str
    url: str
    direct_url: str
    removed: bool = False
    capacity_bytes: int | None = None
    version: int = 1
    replicas: tuple[str, ...] = ()


async def read_directory(postgres: Postgres) -> list[DirectoryEntry]:
    """What one shard knows of all; nothing where it is of a schema before there was a directory.

    Args:
        postgres: the shard as its owner.

    Raises:
        Unavailable: the shard does not answer.
    """
    return await _read(postgres, _READ)


async def read_directory_as_service(postgres: Postgres) -> list[DirectoryEntry]:
    """The same as the service's role may see it, without direct addresses.

    Raises:
        Unavailable: the shard does not answer.
    """
    return await _read(postgres, _READ_AS_SERVICE)


async def write_directory(postgres: Postgres, entries: Iterable[DirectoryEntry]) -> None:
    """Tell one shard of entries; what it knows newer stays.

    Raises:
        Unavailable: the shard does not answer.
    """
    rows = [(e.name, e.url, e.direct_url, e.removed, e.capacity_bytes, e.version) for e in entries]
    if rows:
        await postgres.call(_WRITE, *(list(column) for column in zip(*rows, strict=True)))


async def _read(postgres: Postgres, statement: str) -> list[DirectoryEntry]:
    try:
        return [DirectoryEntry(*row) for row in await postgres.call(statement)]
    except asyncpg.UndefinedTableError:
        return []
