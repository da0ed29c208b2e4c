"""The months of sessions on every shard, those ahead made first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from db.partitions import Month, Partition, list_partitions
from db.postgres import Postgres
from service.prepare import keep_partitions_ready


@dataclass(frozen=True, slots=True)
class ShardMonths:
    """One shard's partitions, oldest first, and which of them were made just now."""

    shard: str
    partitions: list[Partition]
    made: list[Month]


async def make_and_list_partitions(
    postgreses: Sequence[Postgres], *, back_days: int, months_ahead: int
) -> list[ShardMonths]:
    """Make what is missing of the months that submissions fall into until `months_ahead` from now; list all.

    Raises:
        Unavailable: a shard does not answer.
    """

    async def look(postgres: Postgres) -> ShardMonths:
        made = await keep_partitions_ready(postgres, back_days=back_days, months_ahead=months_ahead)
        async with postgres.read() as connection:
            return ShardMonths(postgres.name, await list_partitions(connection), made)

    return await asyncio.gather(*(look(postgres) for postgres in postgreses))
