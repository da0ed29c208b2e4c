"""Whole boards, as the shards hold them and as Redis does."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from domain.standing import Row
from infra.local.cluster import LocalCluster
from ranking.keys import BoardKeys
from ranking.members import unpack_row
from ranking.store import RanksUnavailable
from service.parts import Parts
from tests.db.shards import connected
from tests.waiting import until

KEYS = BoardKeys("global")


async def ranks_are_there(parts: Parts) -> bool:
    """Whether Redis tells ranks now."""
    try:
        await parts.projection.standings([0])
    except RanksUnavailable:
        return False
    return True


async def board_of_shards(cluster: LocalCluster, *names: str) -> list[Row]:
    """Every row of every shard, or of those named, best first, in a tie the smaller id first."""
    rows: list[Row] = []
    for shard in cluster.shards:
        if names and shard.name not in names:
            continue
        async with connected(shard.direct_url) as connection:
            found = await connection.fetch(
                """
                select l.user_id, p.username, l.total_score, l.games_played, l.last_played, l.revision
                from leaderboard as l join players as p using (bucket, user_id)
                """
            )
        rows += [Row(*row) for row in found]
    return sorted(rows, key=lambda row: (-row.total_score, row.user_id))


async def board_of_redis(cluster: LocalCluster) -> list[Row] | None:
    """Every row in Redis, in its order; None where the ranks are not there."""
    async with Redis.from_url(cluster.redis_url, protocol=2) as redis, redis.pipeline(transaction=True) as pipeline:
        # All of one moment: ranks and rows change together.
        pipeline.exists(KEYS.ready)
        pipeline.zrange(KEYS.ranks, 0, -1, withscores=True)
        pipeline.hgetall(KEYS.rows)
        answers: Any = await pipeline.execute()
    ready, ranks, rows = answers
    if not ready:
        return None
    assert rows.keys() == {member for member, _ in ranks}
    return [unpack_row(member, b"%d" % score, rows[member]) for member, score in ranks]


async def until_equal(cluster: LocalCluster, seconds_max: float = 10.0) -> list[Row]:
    """Wait until Redis says what the shards say, which do not change meanwhile; gives that."""
    expected = await board_of_shards(cluster)

    async def equal() -> bool:
        return await board_of_redis(cluster) == expected

    await until(equal, seconds_max)
    return expected
