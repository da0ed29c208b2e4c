"""Which buckets this shard owns, as it says itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db.postgres import Postgres
from db.tables import bucket_owner, shard_info

_READ = """
    select b.bucket, b.epoch, s.name
    from shard_info as s
    left join bucket_owner as b on true
"""


@dataclass(frozen=True, slots=True)
class OwnedBucket:
    """A bucket that a shard claims, and the epoch at which it got it: of two claims the newer holds."""

    bucket: int
    epoch: int


async def read_owned(postgres: Postgres) -> list[OwnedBucket]:
    """Every bucket the shard owns now, frozen ones included: a frozen bucket still belongs to its source.

    Raises:
        Unavailable: the shard does not answer.
    """
    rows = await postgres.call(_READ)
    return [OwnedBucket(row["bucket"], row["epoch"]) for row in rows if row["bucket"] is not None]


async def claim_first(connection: AsyncConnection, buckets: Iterable[int]) -> None:
    """Give a shard its first buckets, at epoch 1; only when no shard owns any. Two who do it at once do no harm."""
    await connection.execute(
        insert(bucket_owner).on_conflict_do_nothing(),
        [{"bucket": bucket, "state": "owned", "epoch": 1} for bucket in buckets],
    )


async def list_owned(connection: AsyncConnection) -> set[int]:
    """The buckets that the shard owns."""
    return set((await connection.execute(select(bucket_owner.c.bucket))).scalars())


async def introduce(connection: AsyncConnection, name: str) -> str:
    """Write a new shard's name into it, once; returns the name that it has."""
    found: str | None = await connection.scalar(select(shard_info.c.name))
    if found is None:
        await connection.execute(insert(shard_info).values(singleton=1, name=name, incarnation=func.gen_random_uuid()))
    return found or name
