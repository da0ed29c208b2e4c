"""What may be wrong with one shard, seen by its owner past the PgBouncer. Each check looks and gives findings."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from db.api_keys import read_api_keys
from db.directory import DirectoryEntry
from db.health import count_closed, read_clock, read_connections, read_index_faults, read_settings, read_slot_health
from db.partitions import Month, list_detached, list_partitions, months_to_keep_ready, read_pruned_before
from db.postgres import Postgres
from db.roles import read_role_warnings, service_role_of
from db.schema import read_schema, why_not_served
from db.server_facts import ServerFacts, read_server_facts
from service.doctor.clocks import judge_clock
from service.doctor.finding import Finding, Severity
from sharding.reshard.checks import MAJOR_MIN, SLOTS_A_MOVE

_HELD_BYTES_WARNED = 1_000_000_000
_FULL_SHARE_WARNED, _FULL_SHARE_MAX = 0.8, 0.95
_KEY_ENDS_SOON = timedelta(days=14)

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


@dataclass(frozen=True, slots=True)
class Looked:
    """The shard that is looked at, and what the service is set to."""

    postgres: Postgres
    entry: DirectoryEntry
    back_days: int
    months_ahead: int

    @property
    def name(self) -> str:
        """The shard's name."""
        return self.entry.name


async def check_server(shard: Looked) -> list[Finding]:
    """Version, what moves of buckets need, and encoding."""
    name, facts = shard.name, await read_server_facts(shard.postgres)
    found = []
    if facts.major < MAJOR_MIN:
        found.append(
            Finding(
                ERROR, name, "version", f"PostgreSQL {facts.major} is too old.", f"Upgrade to {MAJOR_MIN} or newer."
            )
        )
    if facts.encoding != "UTF8":
        found.append(
            Finding(
                ERROR, name, "encoding", f"The database has the encoding {facts.encoding}; names get lost or refused.",
                "Make a database with `create database … encoding 'UTF8' template template0` and restore into it.",
            )
        )  # fmt: skip
    return found + judge_moves(name, facts)


def judge_moves(name: str, facts: ServerFacts) -> list[Finding]:
    """What keeps players from being moved from a shard or to it."""
    found = []
    if facts.wal_level != "logical":
        found.append(
            Finding(
                WARNING, name, "wal_level", f"wal_level is {facts.wal_level}: players cannot be moved from or to it.",
                "`alter system set wal_level = logical;` and restart the server.",
            )
        )  # fmt: skip
    for check, setting, most, used in (
        ("slots", "max_replication_slots", facts.slots_max, facts.slots_used),
        ("senders", "max_wal_senders", facts.senders_max, facts.senders_used),
    ):
        if most - used < SLOTS_A_MOVE:
            found.append(
                Finding(
                    WARNING, name, check,
                    f"{setting} is {most} and {used} are in use: a move of players takes {SLOTS_A_MOVE}.",
                    f"`alter system set {setting} = {used + 2 * SLOTS_A_MOVE};` and restart the server.",
                )
            )  # fmt: skip
    if facts.workers_max < 2:
        found.append(
            Finding(
                WARNING, name, "workers",
                f"max_logical_replication_workers is {facts.workers_max}: no player can be moved to it.",
                "`alter system set max_logical_replication_workers = 4;` and restart the server.",
            )
        )  # fmt: skip
    if not facts.may_replicate or not facts.may_subscribe:
        lacking = "replicate" if not facts.may_replicate else "subscribe"
        do = "`alter role … replication;`" if not facts.may_replicate else "`grant pg_create_subscription to …;`"
        found.append(
            Finding(
                WARNING, name, "owner_role", f"The user of direct_url may not {lacking}: players cannot be moved.",
                f"As a superuser: {do} (before PostgreSQL 16 it has to be a superuser itself).",
            )
        )  # fmt: skip
    return found


async def check_durability(shard: Looked) -> list[Finding]:
    """Settings without which an acknowledged score may be lost, as they hold for the owner."""
    settings = await read_settings(shard.postgres, ["fsync", "full_page_writes"])
    return [
        Finding(
            ERROR, shard.name, name, f"{name} is off: a crash of the machine may destroy the shard.",
            f"`alter system set {name} = on; select pg_reload_conf();`",
        )
        for name, value in settings.items()
        if value == "off"
    ]  # fmt: skip


async def check_schema(shard: Looked) -> list[Finding]:
    """Whether this version can serve the tables."""
    why = why_not_served(await read_schema(shard.postgres))
    if why is None:
        return []
    what, _, do = why.partition("; ")
    return [Finding(ERROR, shard.name, "schema", f"It cannot be served: {what}.", f"{do[0].upper()}{do[1:]}.")]


async def check_partitions(shard: Looked) -> list[Finding]:
    """Whether there is a month's table for whatever may come in."""
    async with shard.postgres.read() as connection:
        months = {partition.month: partition for partition in await list_partitions(connection)}
        detached = await list_detached(connection)
        pruned_before = await read_pruned_before(connection)
    now = datetime.now(UTC)
    wanted = months_to_keep_ready(now, shard.back_days, shard.months_ahead)
    missing = [
        month for month in wanted
        if month not in months and (pruned_before is None or month.plus(1).start > pruned_before)
    ]  # fmt: skip
    found = []
    if missing:
        current = Month.of(now)
        severity = ERROR if min(missing) <= current else WARNING if min(missing) == current.plus(1) else NOTE
        found.append(
            Finding(
                severity, shard.name, "partitions",
                f"There is no table for {', '.join(map(str, missing))}: sessions of {missing[0]} are refused.",
                "`shardboard sessions partitions` makes them; API processes do each hour: see their log.",
            )
        )  # fmt: skip
    left = [*detached, *(month for month, partition in months.items() if partition.detaching)]
    if left:
        found.append(
            Finding(
                WARNING, shard.name, "pruning", f"A prune was stopped at {', '.join(map(str, sorted(left)))}.",
                f"`shardboard sessions prune --before {max(left).plus(1)}` once more.",
            )
        )  # fmt: skip
    return found


async def check_indexes(shard: Looked) -> list[Finding]:
    """Whether all indexes are there and whole."""
    faults = await read_index_faults(shard.postgres)
    found = [
        Finding(
            ERROR, shard.name, "index_missing",
            f"The index {name} is missing: statements that need it read whole tables.",
            f"`{statement};`",
        )
        for name, statement in faults.missing.items()
    ]  # fmt: skip
    return found + [
        Finding(
            ERROR, shard.name, "index_invalid", f"The index {name} is not valid: it is kept up and never used.",
            f"`reindex index concurrently {name};`, or drop it where its name ends in _ccnew.",
        )
        for name in faults.invalid
    ]  # fmt: skip


async def check_slots(shard: Looked) -> list[Finding]:
    """Slots that keep WAL which nobody reads, or that lost theirs."""
    found = []
    for slot in await read_slot_health(shard.postgres):
        do = f"If nobody needs it: `select pg_drop_replication_slot('{slot.name}');`"
        if slot.wal_status == "lost":
            found.append(
                Finding(ERROR, shard.name, "slot_lost", f"The slot {slot.name} lost WAL that its reader needs.", do)
            )
        elif not slot.active and slot.held_bytes > _HELD_BYTES_WARNED:
            held = f"{slot.held_bytes / 1e6:,.0f} MB"
            found.append(
                Finding(
                    WARNING, shard.name, "slot_holds",
                    f"Nobody reads the slot {slot.name}, for which {held} of WAL are kept: the disk fills up.", do,
                )
            )  # fmt: skip
    return found


async def check_connections(shard: Looked) -> list[Finding]:
    """Whether there is room for more connections."""
    used, allowed = await read_connections(shard.postgres)
    if used < _FULL_SHARE_WARNED * allowed:
        return []
    return [
        Finding(
            WARNING, shard.name, "connections", f"{used} of {allowed} connections are open.",
            "Lower max_db_connections of its PgBouncers, or raise max_connections and restart the server.",
        )
    ]  # fmt: skip


async def check_room(shard: Looked) -> list[Finding]:
    """How full it is, by the capacity that the operator gave it."""
    capacity = shard.entry.capacity_bytes
    if capacity is None:
        return []
    size = (await read_server_facts(shard.postgres)).bytes
    if size < _FULL_SHARE_WARNED * capacity:
        return []
    return [
        Finding(
            ERROR if size > _FULL_SHARE_MAX * capacity else WARNING, shard.name, "room",
            f"It holds {size / 1e6:,.0f} MB, {100 * size / capacity:.0f} % of its capacity.",
            "`shardboard shards add` another one and `shardboard shards rebalance`, or prune sessions.",
        )
    ]  # fmt: skip


async def check_closed(shard: Looked) -> list[Finding]:
    """Whether a restore left it closed."""
    closed = await count_closed(shard.postgres)
    if not closed:
        return []
    return [
        Finding(
            ERROR, shard.name, "closed", f"{closed} buckets are closed: their players' submissions are refused.",
            "A restore did not come to its end: give `shardboard restore` with the same backup once more.",
        )
    ]  # fmt: skip


async def check_roles(shard: Looked) -> list[Finding]:
    """Whether the service's role may do what it needs and no more."""
    role = service_role_of(shard.entry.url, shard.entry.direct_url)
    warnings = await read_role_warnings(shard.postgres, role)
    return [
        Finding(
            WARNING, shard.name, "role", f"{warning[0].upper()}{warning[1:]}.",
            "Mend that, then `shardboard migrate`, which grants what is needed.",
        )
        for warning in warnings
    ]  # fmt: skip


async def check_keys(shard: Looked) -> list[Finding]:
    """Keys that are about to end."""
    now = datetime.now(UTC)
    found = []
    for key in await read_api_keys(shard.postgres):
        if key.state(now) == "active" and key.expires_at is not None and key.expires_at < now + _KEY_ENDS_SOON:
            admin = " --admin" if key.kind == "admin" else ""
            found.append(
                Finding(
                    WARNING, "keys", "key_ends",
                    f"The key {key.id} ({key.label}) ends {key.expires_at:%Y-%m-%d %H:%M} UTC.",
                    f"`shardboard keys make{admin} --label …`, hand it out, then `shardboard keys revoke {key.id}`.",
                )
            )  # fmt: skip
    return found


async def check_clock(shard: Looked) -> list[Finding]:
    """Whether it has the same time as this machine."""
    before = time.time()
    clock = await read_clock(shard.postgres)
    return judge_clock(shard.name, clock, before, time.time())


SHARD_CHECKS: Mapping[str, Callable[[Looked], Awaitable[list[Finding]]]] = {
    "schema": check_schema,
    "server": check_server,
    "durability": check_durability,
    "partitions": check_partitions,
    "indexes": check_indexes,
    "slots": check_slots,
    "connections": check_connections,
    "room": check_room,
    "closed": check_closed,
    "role": check_roles,
    "keys": check_keys,
    "clock": check_clock,
}
