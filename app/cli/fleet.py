"""Every shard past its PgBouncer: for transactions that take long, and for what a pooler cannot pass on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.parts import seeds_of
from app.settings import Settings, names_deployment
from db.directory import DirectoryEntry
from db.postgres import ConnectionLimits, Postgres
from db.traced import make_postgres
from domain.errors import OperatorError
from service.find_shards import find_shards
from sharding.reshard.fleet import Fleet, locked_fleet

# A step asks a shard for a few things at once.
_LANES = 6


@asynccontextmanager
async def open_fleet(settings: Settings) -> AsyncIterator[Fleet]:
    """All shards of a deployment; connected when first used."""
    found = await find_shards_directly(settings)
    # What no directory knows, where others are known, was started for a `shards add` that did not come to its end.
    added = [entry for entry in found if entry.version] or found
    entries = {entry.name: entry for entry in added}
    limits = ConnectionLimits(lanes=_LANES, pool_size=2, connect_timeout_s=settings.connect_timeout_ms / 1000)
    fleet = Fleet(entries, {name: make_postgres(name, entry.direct_url, limits) for name, entry in entries.items()})
    try:
        yield fleet
    finally:
        await asyncio.gather(*(postgres.close() for postgres in fleet.direct.values()))


@asynccontextmanager
async def open_still_fleet(settings: Settings, work: str) -> AsyncIterator[Fleet]:
    """All shards, between which no bucket moves within the block.

    Args:
        work: what for, in one word, for whoever wants to move some meanwhile.

    Raises:
        OperatorError: buckets are being moved now; says by whom.
        Unavailable: a shard does not answer.
    """
    async with open_fleet(settings) as fleet, locked_fleet(fleet, work, shared=True):
        yield fleet


async def find_shards_directly(settings: Settings) -> list[DirectoryEntry]:
    """Every shard of the deployment, found over direct addresses.

    Raises:
        OperatorError: the settings name a shard without one.
    """
    lacking = [shard.name for shard in settings.shards if not shard.direct_url]
    if lacking:
        raise OperatorError(
            f"SHARDBOARD_SHARDS has no direct_url of {', '.join(lacking)}, which this command needs; what serves does "
            "without, so run it where the owner's addresses are known."
        )
    limits = ConnectionLimits(lanes=1, pool_size=1, connect_timeout_s=settings.connect_timeout_ms / 1000)
    return await find_shards(seeds_of(settings), lambda entry: Postgres(entry.name, entry.direct_url, limits))


def find_local_data(data: Path | None) -> Path | None:
    """The DATA directory, where the commands speak of a local cluster; None for a deployment of the environment."""
    return None if data is None and names_deployment() else data or Path(".data")


def require_local_data(data: Path | None) -> Path:
    """The DATA directory of the local cluster.

    Raises:
        OperatorError: the commands speak of a deployment that is found by the environment.
    """
    found = find_local_data(data)
    if found is None:
        raise OperatorError(
            "--local is for a cluster that `make up` started; here SHARDBOARD_SHARDS names another one."
        )
    return found


def free_bytes(data: Path | None) -> int | None:
    """Space left on the disk on which all shards of a local cluster are; None where shards are elsewhere."""
    found = find_local_data(data)
    return None if found is None else shutil.disk_usage(found).free
