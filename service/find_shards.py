"""Find every shard of the deployment: those of the settings lead to those that were added while it ran."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from db.directory import DirectoryEntry, read_directory
from db.postgres import Postgres
from domain.errors import ShardboardError
from sharding.known_shards import newest_entries, present_shards

Read = Callable[[Postgres], Awaitable[list[DirectoryEntry]]]


async def find_shards(
    seeds: Sequence[DirectoryEntry], connect: Callable[[DirectoryEntry], Postgres], read: Read = read_directory
) -> list[DirectoryEntry]:
    """The shards that there are, whether they answer or not: the seeds in their order, then the others by name.

    Every shard's directory is read, those of shards found so included; a shard that does not answer, is not migrated or
    is another than its address says tells nothing. Shards that were removed are left out.

    Args:
        seeds: the shards of the settings. Their addresses hold, whatever a directory says.
        connect: makes the Postgres of a shard; it is closed here.
        read: how a directory is read; another way than the owner's where `connect` leads there as the service.
    """
    asked: set[tuple[str, str, str]] = set()
    directory: dict[str, DirectoryEntry] = {}
    found = list(seeds)
    while new := [entry for entry in found if _address(entry) not in asked]:
        asked |= {_address(entry) for entry in new}
        told = await asyncio.gather(*(_ask(connect(entry), read) for entry in new))
        directory = newest_entries([*directory.values(), *(entry for entries in told for entry in entries)])
        found = present_shards(seeds, directory)
    return found


async def _ask(postgres: Postgres, read: Read) -> list[DirectoryEntry]:
    try:
        return await read(postgres)
    except ShardboardError:
        return []
    finally:
        await postgres.close()


def _address(entry: DirectoryEntry) -> tuple[str, str, str]:
    return (entry.name, entry.url, entry.direct_url)
