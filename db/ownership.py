"""Which buckets this shard owns, as it says itself, and how they change hands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db.postgres import Postgres
from db.tables import bucket_owner, shard_info

# One statement, so that a bucket that is given away meanwhile is on exactly one of the two lists.
_READ = """
    select o.owned, h.handed_over, h.targets
    from (select array_agg(array[bucket, epoch]) as owned from bucket_owner) as o
    cross join (
        select array_agg(array[bucket, epoch]) as handed_over, array_agg(target) as targets from bucket_handover
    ) as h
"""

_FREEZE = "select bucket, epoch from freeze_buckets($1, $2, $3, $4, $5)"
_THAW = "update bucket_owner set state = 'owned', frozen_until = null where bucket = any ($1) and state = 'frozen'"
_RELEASE = "select bucket, epoch from release_buckets($1, $2, $3)"
_CLAIM = "select claim_buckets($1, $2)"


@dataclass(frozen=True, slots=True)
class OwnedBucket:
    """A bucket that a shard claims, and the epoch at which it got it: of two claims the newer holds."""

    bucket: int
    epoch: int


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A bucket that a shard gave away: `target` owns it since `epoch`, whether it knows already or not."""

    bucket: int
    epoch: int
    target: str


@dataclass(frozen=True, slots=True)
class Ownership:
    """What one shard knows of buckets: those that it owns now, and to whom it gave others."""

    owned: Sequence[OwnedBucket]
    handed_over: Sequence[HandedOver]


async def read_ownership(postgres: Postgres) -> Ownership:
    """Every bucket the shard owns now, frozen ones included, and every one it gave away.

    Raises:
        Unavailable: the shard does not answer.
        asyncpg.UndefinedTableError: it is not migrated.
    """
    ((owned, handed_over, targets),) = await postgres.ask(_READ)
    return Ownership(
        [OwnedBucket(bucket, epoch) for bucket, epoch in owned or ()],
        [HandedOver(bucket, epoch, to) for (bucket, epoch), to in zip(handed_over or (), targets or (), strict=True)],
    )


async def freeze_buckets(
    postgres: Postgres, buckets: Sequence[int], *, move_id: UUID, marker: int, bound_ms: int, lock_ms: int
) -> dict[int, int]:
    """Stop writes to buckets for at most `bound_ms`, and send a marker after the last of them.

    Returns:
        The buckets with their epochs; empty, and nothing frozen, where the shard does not own all of them, or batches
        under way did not end within `lock_ms`.

    Raises:
        Unavailable: the shard does not answer; the freeze, if there is one, runs out by itself.
    """
    return await _change_hands(postgres, _FREEZE, buckets, move_id, marker, bound_ms, lock_ms)


async def thaw_buckets(postgres: Postgres, buckets: Sequence[int]) -> None:
    """Let writes to frozen buckets go on.

    Raises:
        Unavailable: the shard does not answer; the freeze runs out by itself.
    """
    await postgres.call(_THAW, buckets)


async def release_buckets(postgres: Postgres, buckets: Sequence[int], target: str, *, lock_ms: int) -> dict[int, int]:
    """Give frozen buckets to `target`: from here on there is no way back but another move.

    Returns:
        The buckets with the epochs since which the target owns them; empty, and nothing given away, where a freeze ran
        out before, or batches under way did not end within `lock_ms`.

    Raises:
        Unavailable: the shard does not answer; what it did is to be read from `read_ownership`.
    """
    return await _change_hands(postgres, _RELEASE, buckets, target, lock_ms)


async def claim_buckets(postgres: Postgres, epochs: Mapping[int, int]) -> None:
    """Let a shard know which buckets were given to it, each with its epoch; again and again does no harm.

    A claim older than what the shard knows of the bucket changes nothing.

    Raises:
        Unavailable: the shard does not answer.
    """
    await postgres.call(_CLAIM, list(epochs), list(epochs.values()))


async def claim_first(connection: AsyncConnection, buckets: Iterable[int]) -> None:
    """Give a shard its first buckets, at epoch 1; only when no shard owns any. Two who do it at once do no harm."""
    await connection.execute(
        insert(bucket_owner).on_conflict_do_nothing(),
        [{"bucket": bucket, "state": "owned", "epoch": 1} for bucket in buckets],
    )


async def introduce(connection: AsyncConnection, name: str) -> str:
    """Write a new shard's name into it, once; returns the name that it has."""
    found: str | None = await connection.scalar(select(shard_info.c.name))
    if found is None:
        await connection.execute(insert(shard_info).values(singleton=1, name=name, incarnation=func.gen_random_uuid()))
    return found or name


async def _change_hands(postgres: Postgres, statement: str, *arguments: object) -> dict[int, int]:
    try:
        return dict(await postgres.call(statement, *arguments))
    except asyncpg.LockNotAvailableError:
        return {}
