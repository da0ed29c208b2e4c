"""Made-up data, and the parts of the service opened on a test's cluster."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

from app.parts import open_parts
from app.settings import Settings
from domain.ids import make_uuid7
from domain.standing import Row
from domain.submission import Submission
from infra.local.cluster import LocalCluster
from service.parts import Parts
from sharding.placement import BUCKET_COUNT, bucket_of, deal_out

_recorded_us = count(1_700_000_000_000_000)
INSTANT = datetime(2026, 11, 1, 12, 30, 15, 123456, UTC)


def make_id(seconds_ago: float = 0.0) -> UUID:
    """A submission id of the present, or of a moment ago."""
    return make_uuid7(int((time.time() - seconds_ago) * 1000))


def make_submission(user_id: int = 1, score: int = 10, **fields: Any) -> Submission:
    """A checked submission with an id of its own; every call was taken at another microsecond."""
    return Submission(
        **{
            "id": make_id(),
            "user_id": user_id,
            "username": f"player {user_id}",
            "score": score,
            "game_mode": None,
            "duration_seconds": None,
            "recorded_us": next(_recorded_us),
            **fields,
        }
    )


def make_row(user_id: int, total: int = 0, revision: int = 1, username: str | None = None) -> Row:
    """A row of a board."""
    return Row(user_id, username or f"player {user_id}", total, revision, INSTANT, revision)


def shard_number_of(user_id: int, shard_count: int = 4) -> int:
    """The number, from 1, of the shard that owns a player in a new cluster."""
    bucket = bucket_of(user_id)
    return next(n for n, buckets in enumerate(deal_out(shard_count), start=1) if bucket in buckets)


def users_of_shard(number: int, how_many: int, shard_count: int = 4) -> list[int]:
    """The smallest ids, from 1, of players that the shard of this number (from 1) owns in a new cluster."""
    found: list[int] = []
    for user_id in count(1):
        if shard_number_of(user_id, shard_count) == number:
            found.append(user_id)
            if len(found) == how_many:
                return found
    raise AssertionError(BUCKET_COUNT)


def make_settings(cluster: LocalCluster, **fields: Any) -> Settings:
    """The settings of a process that serves the cluster, with a quick relay."""
    return Settings(
        **{
            "shards": [asdict(shard) for shard in cluster.shards],
            "redis_url": cluster.redis_url,
            "relay_interval_ms": 50,
            "server_key": cluster.identity.server_key,
            "admin_key": cluster.identity.admin_key,
            # Tests of other things read as much as they like; tests of limits set their own.
            "address_reads_per_minute": 0,
            **fields,
        }
    )


@asynccontextmanager
async def opened_parts(cluster: LocalCluster, *, background: bool = True, **fields: Any) -> AsyncIterator[Parts]:
    """What one process works with; `fields` are settings."""
    async with open_parts(make_settings(cluster, **fields), background=background) as parts:
        yield parts
