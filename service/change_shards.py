"""Take an empty Postgres in as a shard, or let a shard go that owns nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from db.address import addresses_of, place_of
from db.api_keys import read_api_keys, write_api_keys
from db.clean_up import list_strangers
from db.directory import DirectoryEntry, read_directory, write_directory
from db.migrate import migrate
from db.postgres import Postgres
from db.replication import reach
from db.roles import read_role_warnings, service_role_of
from db.schema import needed_revision, newest_revision
from db.server_facts import Candidate, read_candidate, read_identity, read_schema_version
from domain.errors import OperatorError, Unavailable
from domain.keys import merge_keys
from domain.move import ENDED
from service.prepare import keep_partitions_ready
from sharding.reshard.checks import why_unfit
from sharding.reshard.fleet import Fleet
from sharding.reshard.mover import read_all_moves

Say = Callable[[str], None]


async def add_shard(fleet: Fleet, added: DirectoryEntry, *, back_days: int, months_ahead: int, say: Say) -> None:
    """Check a Postgres, migrate it, and tell every shard where it is; it owns nothing until buckets are moved to it.

    Given again, it goes on where an earlier try ended; for a shard that is there it changes its addresses or capacity.

    Args:
        back_days, months_ahead: which months are made at once, see `service.prepare`.
        say: told each step.

    Raises:
        OperatorError: it cannot be a shard of these; says why, and nothing was changed.
        Unavailable: a shard, or the Postgres itself, does not answer.
    """
    say(f"looking at {added.name}")
    known = fleet.entries.get(added.name)
    candidate = await read_candidate(added.name, added.direct_url)
    if candidate.shard_name is None:
        await require_new_name(fleet, added.name)
    reasons = _why_not_empty(added, candidate, known) + why_unfit(added.name, candidate.facts)
    versions = await fleet.ask(read_schema_version)
    reasons += await _why_other_address(added, candidate) + _why_other_schema(versions)
    if not reasons:
        # Both ways: buckets may have to come back.
        reasons = await _why_out_of_reach(fleet, added)
    if reasons:
        raise OperatorError(" ".join(reasons) + " Nothing was changed.")
    # Not further than the others, which a version that serves may still need uncontracted.
    schema = min(versions.values())
    say(f"migrating {added.name} to schema {schema}")
    role = service_role_of(added.url, added.direct_url)
    await migrate(added.name, added.direct_url, role, until=schema)
    postgres = Postgres(added.name, added.direct_url)
    try:
        for warning in await read_role_warnings(postgres, role):
            say(f"warning: {added.name}: {warning}")
        strangers = await list_strangers(postgres)
        if known is None and strangers:
            raise OperatorError(
                f"{added.name} holds {sum(strangers.values())} rows of players; a shard begins empty. Take them out, "
                "or give a fresh database."
            )
        await keep_partitions_ready(postgres, back_days=back_days, months_ahead=months_ahead)
        say("telling the other shards")
        # Told last, because from then on buckets may be moved to it.
        others = [entry for entry in fleet.entries.values() if entry.name != added.name]
        version = await _next_version(fleet, added.name)
        entry = replace(added, removed=False, version=version)
        await write_directory(postgres, [*others, entry])
        await write_api_keys(postgres, list(merge_keys(*(await fleet.ask(read_api_keys)).values()).values()))
        await _tell_all(fleet, entry)
    finally:
        await postgres.close()


async def require_new_name(fleet: Fleet, name: str) -> None:
    """Refuse to give the name of a shard that was removed to an empty database.

    Other shards remember that they gave buckets to that name; a process that starts while their present owner is away
    would take the new shard for the one that has them.

    Raises:
        OperatorError: it was; nothing was changed.
        Unavailable: a shard does not answer.
    """
    if name not in fleet.entries and await _was_removed(fleet, name):
        raise OperatorError(
            f"There was a shard {name} before, and it was removed; the others remember buckets that it had. Give the "
            "new one another name. Nothing was changed."
        )


async def remove_shard(fleet: Fleet, name: str, *, say: Say) -> None:
    """Take a shard that owns nothing out of the deployment; every process forgets it.

    For one that was taken out before there is nothing to do.

    Raises:
        OperatorError: there is no such shard, it owns buckets or holds rows, takes part in a move, or is the last one;
            nothing was changed.
        Unavailable: a shard does not answer.
    """
    if name not in fleet.entries and await _was_removed(fleet, name):
        return
    postgres = fleet.postgres(name)
    owned = len((await fleet.read_map()).owned.get(name, ()))
    if owned:
        raise OperatorError(
            f"Shard {name} owns {owned} buckets; `shardboard shards drain {name}` moves them to the others. Nothing "
            "was changed."
        )
    moving = [m for m in await read_all_moves(fleet) if name in (m.source, m.target) and m.phase not in ENDED]
    if moving:
        raise OperatorError(
            f"Shard {name} takes part in {len(moving)} move(s) that have not ended, the first is {moving[0]}, "
            f"{moving[0].phase}. See `shardboard shards status`. Nothing was changed."
        )
    strangers = await list_strangers(postgres)
    if strangers:
        raise OperatorError(
            f"Shard {name} still holds {sum(strangers.values())} rows of buckets that it gave away; "
            "`shardboard shards clean-up` takes them away. Nothing was changed."
        )
    say(f"telling all shards that {name} is gone")
    entry = replace(fleet.entries[name], removed=True, version=await _next_version(fleet, name))
    await _tell_all(fleet, entry)


async def _was_removed(fleet: Fleet, name: str) -> bool:
    known = [entry for entries in (await fleet.ask(read_directory)).values() for entry in entries]
    return any(entry.name == name and entry.removed for entry in known)


async def _tell_all(fleet: Fleet, entry: DirectoryEntry) -> None:
    await asyncio.gather(*(write_directory(postgres, [entry]) for postgres in fleet.direct.values()))


async def _next_version(fleet: Fleet, name: str) -> int:
    known = [entry for entries in (await fleet.ask(read_directory)).values() for entry in entries]
    return 1 + max((entry.version for entry in known if entry.name == name), default=0)


def _why_not_empty(added: DirectoryEntry, candidate: Candidate, known: DirectoryEntry | None) -> list[str]:
    if candidate.shard_name is not None and candidate.shard_name != added.name:
        return [f"The address of {added.name} leads to the shard {candidate.shard_name!r}."]
    if candidate.shard_name is None and candidate.tables:
        return [
            f"The database of {added.name} is not empty: it holds {len(candidate.tables)} table(s), the first is "
            f"{candidate.tables[0]}. A shard begins with an empty database."
        ]
    if known is not None and candidate.shard_name is None:
        return [f"There is a shard {added.name} already, and this address leads to an empty database instead of it."]
    return []


async def _why_other_address(added: DirectoryEntry, candidate: Candidate) -> list[str]:
    for address in addresses_of(added.url):
        try:
            through = await read_identity(added.name, address)
        except Unavailable as error:
            return [f"The address through PgBouncer does not answer at {place_of(address)}: {error.__cause__}."]
        if through != candidate.identity:
            return [
                f"The addresses lead to different databases: --url, at {place_of(address)}, has to lead to the one of "
                "--direct-url."
            ]
    return []


def _why_other_schema(versions: Mapping[str, str]) -> list[str]:
    old = [f"{name} at {version}" for name, version in versions.items() if version < needed_revision()]
    new = [f"{name} at {version}" for name, version in versions.items() if version > newest_revision()]
    reasons = []
    if old:
        reasons.append(
            f"Shards are at an older schema than {needed_revision()}: {', '.join(old)}. Run `shardboard migrate`."
        )
    if new:
        reasons.append(
            f"Shards are at a newer schema than {newest_revision()}, the newest that this version knows: "
            f"{', '.join(new)}. Use the version that migrated them."
        )
    return reasons


async def _why_out_of_reach(fleet: Fleet, added: DirectoryEntry) -> list[str]:
    reasons = []
    for entry in fleet.entries.values():
        if entry.name == added.name:
            continue
        for one, other in ((entry, added), (added, entry)):
            why = await reach(one.name, one.direct_url, other.direct_url)
            if why is not None:
                reasons.append(f"Shard {one.name} does not reach {other.name} at its direct address: {why}.")
    return reasons
