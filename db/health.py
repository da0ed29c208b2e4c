"""What an operator wants to know of one Postgres before it is trouble: read, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Table, UniqueConstraint
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint, CreateIndex

from db.postgres import Postgres
from db.tables import metadata

_TIMEOUT_S = 5.0

_SETTINGS = "select name, current_setting(name) from unnest($1::text[]) as name"
_CLOCK = "select extract(epoch from clock_timestamp())::float8"
_INDEXES = """
    select c.relname::text as name, i.indisvalid as valid
    from pg_index as i
    join pg_class as c on c.oid = i.indexrelid
    where c.relnamespace = 'public'::regnamespace
    order by 1
"""
_SLOTS = """
    select
        slot_name::text as name,
        active,
        coalesce(wal_status, 'reserved') as wal_status,
        coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint as held_bytes
    from pg_replication_slots
    order by 1
"""
_CONNECTIONS = """
    select
        (select count(*)::int from pg_stat_activity where backend_type = 'client backend'),
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
"""
_CLOSED = "select count(*)::int from bucket_owner where state = 'frozen' and frozen_until is null"


@dataclass(frozen=True, slots=True)
class SlotHealth:
    """A replication slot, whoever made it; `held_bytes` is the WAL that the server keeps for it."""

    name: str
    active: bool
    wal_status: str
    held_bytes: int


@dataclass(frozen=True, slots=True)
class IndexFaults:
    """Indexes that are not there, each with the statement that makes it, and those that are broken."""

    missing: Mapping[str, str]
    invalid: Sequence[str]


async def read_settings(postgres: Postgres, names: Sequence[str]) -> dict[str, str]:
    """Settings of the server as they hold for whoever asks.

    Raises:
        Unavailable: it does not answer.
    """
    return dict(await postgres.call(_SETTINGS, names, timeout_s=_TIMEOUT_S))


async def read_clock(postgres: Postgres) -> float:
    """The server's clock, in seconds since 1970.

    Raises:
        Unavailable: it does not answer.
    """
    ((seconds,),) = await postgres.call(_CLOCK, timeout_s=_TIMEOUT_S)
    return float(seconds)


async def read_index_faults(postgres: Postgres) -> IndexFaults:
    """Compare the indexes with those of the schema.

    Raises:
        Unavailable: the shard does not answer.
    """
    rows = await postgres.call(_INDEXES, timeout_s=_TIMEOUT_S)
    there = {row["name"] for row in rows}
    wanted = {name: statement for table in metadata.tables.values() for name, statement in _indexes_of(table)}
    return IndexFaults(
        {name: statement for name, statement in wanted.items() if name not in there},
        [row["name"] for row in rows if not row["valid"]],
    )


async def read_slot_health(postgres: Postgres) -> list[SlotHealth]:
    """All replication slots of the server.

    Raises:
        Unavailable: it does not answer.
    """
    return [SlotHealth(*row) for row in await postgres.call(_SLOTS, timeout_s=_TIMEOUT_S)]


async def read_connections(postgres: Postgres) -> tuple[int, int]:
    """How many connections are open, and how many there may be.

    Raises:
        Unavailable: it does not answer.
    """
    ((used, allowed),) = await postgres.call(_CONNECTIONS, timeout_s=_TIMEOUT_S)
    return used, allowed


async def count_closed(postgres: Postgres) -> int:
    """How many buckets are closed to writers until somebody opens them.

    Raises:
        Unavailable: the shard does not answer.
    """
    ((count,),) = await postgres.call(_CLOSED, timeout_s=_TIMEOUT_S)
    return int(count)


def _indexes_of(table: Table) -> list[tuple[str, str]]:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    constraints = [table.primary_key, *(c for c in table.constraints if isinstance(c, UniqueConstraint))]
    found = [
        (str(dialect.identifier_preparer.format_constraint(each)), str(AddConstraint(each).compile(dialect=dialect)))
        for each in constraints
    ]
    found += [(str(index.name), str(CreateIndex(index).compile(dialect=dialect))) for index in table.indexes]
    # Writers go on meanwhile; that is not to be had for a partitioned table.
    how = "CREATE INDEX" if table.dialect_options["postgresql"]["partition_by"] else "CREATE INDEX CONCURRENTLY"
    return [(name, " ".join(statement.replace("CREATE INDEX", how, 1).split())) for name, statement in found]
