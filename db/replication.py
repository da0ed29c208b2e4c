"""Postgres's own logical replication, as a move uses it: publications and a slot at the source, a subscription at the
target. Every function here may be called again after it was killed half-way.

Two publications, because a row filter on a column outside of the replica identity makes every UPDATE and DELETE of the
table fail: sessions, whose key is the id alone, are published with their inserts only, and they have no other changes.
Deletes are never published: the source's clean-up would empty the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from db.address import conninfo_of, dsn_of
from db.errors import as_unavailable
from db.postgres import Postgres
from domain.errors import Unavailable
from domain.move import Move

# Making a slot waits for every transaction under way; the tables' copies begin with it.
_SLOT_TIMEOUT_S = 60.0
_DDL_TIMEOUT_S = 15.0

_SYNCED = "r"

_HAS_PUBLICATION = "select exists (select from pg_publication where pubname = $1)"
_HAS_SUBSCRIPTION = """
    select exists (
        select
        from pg_subscription as s
        join pg_database as d on d.oid = s.subdbid and d.datname = current_database()
        where s.subname = $1
    )
"""
_MAKE_SLOT = "select pg_create_logical_replication_slot($1, 'pgoutput')"
_SLOTS = """
    select
        slot_name::text as name,
        active,
        coalesce(wal_status, 'reserved') as wal_status,
        pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint as lag_bytes
    from pg_replication_slots
    where database = current_database() and slot_type = 'logical'
    order by slot_name
"""
_END_SENDER = "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1 and active"
_DROP_SLOT = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1 and not active"
_SUBSCRIPTION = """
    select
        s.oid::bigint,
        s.subenabled,
        (select array_agg(r.srsubstate::text) from pg_subscription_rel as r where r.srsubid = s.oid),
        coalesce(t.sync_error_count, 0) + coalesce(t.apply_error_count, 0)
    from pg_subscription as s
    join pg_database as d on d.oid = s.subdbid and d.datname = current_database()
    left join pg_stat_subscription_stats as t on t.subid = s.oid
    where s.subname = $1
"""
_COPIED = """
    select coalesce(sum(p.tuples_processed), 0)::bigint, coalesce(sum(p.bytes_processed), 0)::bigint
    from pg_stat_progress_copy as p
    where p.datname = current_database() and p.relid::regclass::text in ('players', 'leaderboard', 'game_sessions')
"""
_MARK = "insert into move_markers (move_id, number) values ($1, $2)"
# What is seen is on the target's disk: see ensure_subscription.
_SEE_MARKER = "select number from move_markers where move_id = $1 and number = $2"
_LAST_MARKER = "select coalesce(max(number), 0) from move_markers where move_id = $1"
_FORGET_MARKERS = "delete from move_markers where move_id = $1"
_TRACES = """
    select 'publication ' || pubname from pg_publication where starts_with(pubname, 'shardboard_move_')
    union all
    select 'subscription ' || s.subname
    from pg_subscription as s
    join pg_database as d on d.oid = s.subdbid and d.datname = current_database()
    where starts_with(s.subname, 'shardboard_move_')
    union all
    select 'slot ' || slot_name::text
    from pg_replication_slots
    where database = current_database()
        and (starts_with(slot_name, 'shardboard_move_') or slot_name ~ '^pg_[0-9]+_sync_')
    union all
    select distinct 'marker shardboard_move_' || replace(move_id::text, '-', '') from move_markers
    order by 1
"""
_SYSTEM = "select system_identifier::text from pg_control_system()"
_LIVE_SUBSCRIPTIONS = "select oid::bigint from pg_subscription"


@dataclass(frozen=True, slots=True)
class Slot:
    """A replication slot. `lag_bytes` is the WAL that its reader has not confirmed; a `lost` one is of no use."""

    name: str
    active: bool
    wal_status: str
    lag_bytes: int | None


@dataclass(frozen=True, slots=True)
class Subscription:
    """How far a subscription is: its tables, those in step with the source, and how often its workers failed."""

    oid: int
    enabled: bool
    tables: int
    tables_in_step: int
    failures: int

    @property
    def follows(self) -> bool:
        """Whether every table was copied and follows the source."""
        return self.tables > 0 and self.tables == self.tables_in_step


async def ensure_publications(source: Postgres, move: Move) -> None:
    """Publish the rows of the move's buckets.

    Raises:
        Unavailable: the shard does not answer.
    """
    mine = f"bucket = any ('{{{','.join(map(str, move.buckets))}}}'::smallint[])"
    changed = f"players where ({mine}), leaderboard where ({mine}), move_markers where (move_id = '{move.move_id}')"
    await _ensure(
        source,
        _HAS_PUBLICATION,
        move.name,
        f"create publication {move.name} for table {changed} with (publish = 'insert, update')",
    )
    await _ensure(
        source,
        _HAS_PUBLICATION,
        f"{move.name}_sessions",
        f"create publication {move.name}_sessions for table game_sessions where ({mine}) "
        "with (publish = 'insert', publish_via_partition_root = true)",
    )


async def ensure_slot(source: Postgres, move: Move) -> None:
    """Keep the source's changes from now on for the target.

    Raises:
        Unavailable: the shard does not answer, or a long transaction there does not end.
    """
    if move.name not in {slot.name for slot in await read_slots(source)}:
        try:
            await source.call(_MAKE_SLOT, move.name, timeout_s=_SLOT_TIMEOUT_S)
        except asyncpg.DuplicateObjectError:
            return


async def ensure_subscription(target: Postgres, move: Move, source_url: str) -> None:
    """Let the target copy and follow what the source publishes.

    Its workers wait for the target's disk, which subscriptions by themselves do not: a target that crashed right after
    a table's copy would otherwise have forgotten that it was done, when the source had dropped the slot of that copy
    already, and the table would never follow again.

    Raises:
        Unavailable: the target does not answer, or cannot reach the source.
    """
    try:
        await _ensure(
            target,
            _HAS_SUBSCRIPTION,
            move.name,
            f"create subscription {move.name} connection {_quoted(conninfo_of(source_url))} "
            f"publication {move.name}, {move.name}_sessions "
            f"with (create_slot = false, slot_name = '{move.name}', copy_data = true, synchronous_commit = on)",
        )
    except Unavailable as error:
        if isinstance(error.__cause__, asyncpg.PostgresConnectionError):
            raise Unavailable(f"Shard {move.target} cannot reach {move.source}: {error.__cause__}") from error
        raise


async def read_subscription(target: Postgres, move: Move) -> Subscription | None:
    """How far the target is; None where it does not subscribe.

    Raises:
        Unavailable: the target does not answer.
    """
    rows = await target.call(_SUBSCRIPTION, move.name)
    if not rows:
        return None
    ((oid, enabled, states, failures),) = rows
    states = states or []
    return Subscription(oid, enabled, len(states), states.count(_SYNCED), failures)


async def read_copied(target: Postgres) -> tuple[int, int]:
    """Rows and bytes that copies under way have brought to the target so far.

    Raises:
        Unavailable: the target does not answer.
    """
    ((rows, size),) = await target.call(_COPIED)
    return rows, size


async def read_slots(postgres: Postgres) -> list[Slot]:
    """The logical slots of this shard, by name.

    Raises:
        Unavailable: the shard does not answer.
    """
    return [Slot(*row) for row in await postgres.call(_SLOTS)]


async def put_marker(source: Postgres, move_id: UUID, number: int) -> None:
    """Send a marker through the stream of changes.

    Raises:
        Unavailable: the source does not answer.
    """
    await source.call(_MARK, move_id, number)


async def last_marker(source: Postgres, move_id: UUID) -> int:
    """The number of the last marker that was sent; 0 for none.

    Raises:
        Unavailable: the source does not answer.
    """
    ((number,),) = await source.call(_LAST_MARKER, move_id)
    return int(number)


async def has_marker(target: Postgres, move_id: UUID, number: int) -> bool:
    """Whether everything that was written before the marker is on the target, and on its disk.

    Raises:
        Unavailable: the target does not answer.
    """
    return bool(await target.call(_SEE_MARKER, move_id, number))


async def drop_subscription(target: Postgres, move: Move) -> None:
    """End the target's following; the slot at the source stays, whether or not the source answers.

    Raises:
        Unavailable: the target does not answer.
    """
    if (await target.call(_HAS_SUBSCRIPTION, move.name))[0][0]:
        await target.call(f"alter subscription {move.name} disable", timeout_s=_DDL_TIMEOUT_S)
        await target.call(f"alter subscription {move.name} set (slot_name = none)", timeout_s=_DDL_TIMEOUT_S)
        await target.call(f"drop subscription {move.name}", timeout_s=_DDL_TIMEOUT_S)
    await target.call(_FORGET_MARKERS, move.move_id)


async def drop_publications(source: Postgres, move: Move) -> None:
    """Publish the move's buckets no more.

    Raises:
        Unavailable: the source does not answer.
    """
    await source.call(f"drop publication if exists {move.name}, {move.name}_sessions", timeout_s=_DDL_TIMEOUT_S)
    await source.call(_FORGET_MARKERS, move.move_id)


async def drop_slot(postgres: Postgres, name: str) -> bool:
    """Drop a slot and end who reads it; False where it is still in use, and this is to be called again.

    Raises:
        Unavailable: the shard does not answer.
    """
    await postgres.call(_END_SENDER, name)
    with suppress(asyncpg.ObjectInUseError, asyncpg.UndefinedObjectError):
        await postgres.call(_DROP_SLOT, name)
    return name not in {slot.name for slot in await read_slots(postgres)}


async def list_orphaned_slots(source: Postgres, targets: Mapping[str, Postgres]) -> list[str]:
    """Slots with which these targets copied tables, and that belong to no subscription of theirs any more.

    Postgres names them after the subscription's number and the target's system; a target that was killed while a
    subscription was dropped leaves them behind.

    Raises:
        Unavailable: a shard does not answer.
    """
    copying = [slot.name for slot in await read_slots(source) if "_sync_" in slot.name]
    orphaned: list[str] = []
    for target in targets.values() if copying else ():
        ((system,),) = await target.call(_SYSTEM)
        living = {str(oid) for (oid,) in await target.call(_LIVE_SUBSCRIPTIONS)}
        orphaned += [name for name in copying if name.endswith(f"_{system}") and name.split("_")[1] not in living]
    return orphaned


async def list_traces(postgres: Postgres) -> list[str]:
    """Everything that moves made on this shard beside rows: publications, subscriptions, slots, markers.

    Raises:
        Unavailable: the shard does not answer.
    """
    return [row[0] for row in await postgres.call(_TRACES)]


async def reach(from_name: str, from_url: str, to_url: str) -> str | None:
    """Why one Postgres cannot replicate from another; None where it can. Nothing stays of the question.

    Raises:
        Unavailable: the Postgres that is asked does not answer.
    """
    with as_unavailable(from_name):
        connection = await asyncpg.connect(dsn_of(from_url), timeout=_DDL_TIMEOUT_S)
        try:
            # It connects when it is made, and is never seen by anybody: its transaction does not commit.
            await connection.execute("begin")
            await connection.execute(
                f"create subscription shardboard_reach connection {_quoted(conninfo_of(to_url))} "
                "publication shardboard_reach with (create_slot = false, enabled = false, slot_name = none)",
                timeout=_DDL_TIMEOUT_S,
            )
        except asyncpg.PostgresError as error:
            # That it could not connect is an answer; that its own connection broke is none.
            if connection.is_closed():
                raise
            return str(error)
        finally:
            connection.terminate()
    return None


async def _ensure(postgres: Postgres, question: str, name: str, statement: str) -> None:
    if not (await postgres.call(question, name))[0][0]:
        try:
            await postgres.call(statement, timeout_s=_DDL_TIMEOUT_S)
        except asyncpg.DuplicateObjectError:
            return


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
