"""Runs the command line as a user does, and looks at what it left on the shards and in Redis."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from domain.standing import Row
from infra.local.cluster import LocalCluster
from ranking.keys import BoardKeys
from ranking.members import unpack_row
from tests.db.shards import connected

_CODE = Path(__file__).parents[2]
_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed to stdout, as JSON."""
        return json.loads(self.out)


async def shardboard(
    cluster: LocalCluster | None, *arguments: object, stdin: str | bytes = b"", env: dict[str, str] | None = None
) -> Finished:
    """Run `shardboard` with these arguments on a cluster (None: on what the environment says), to its end."""
    data = [] if cluster is None else ["--data", str(cluster.data)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli.main", *map(str, arguments), *data),
        cwd=_CODE,
        env=os.environ | (env or {}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_SECONDS_MAX):
            out, err = await process.communicate(stdin.encode() if isinstance(stdin, str) else stdin)
    except TimeoutError:
        process.kill()
        raise
    return Finished(process.returncode or 0, out.decode(), err.decode())


async def query(cluster: LocalCluster, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
    """The rows of a statement from all shards, in the shards' order."""
    rows: list[tuple[Any, ...]] = []
    for shard in cluster.shards:
        async with connected(shard.direct_url) as connection:
            rows += [tuple(row) for row in await connection.fetch(statement, *arguments)]
    return rows


async def ranked_rows(cluster: LocalCluster) -> list[tuple[Any, ...]]:
    """The whole board in Redis, best first: user id, name, total, games played, last played."""
    keys = BoardKeys("global")
    async with Redis.from_url(cluster.redis_url) as redis:
        entries: Any = await redis.zrange(keys.ranks, 0, -1, withscores=True)
        rows: list[Row] = []
        for member, score in entries:
            packed: Any = await redis.hget(keys.rows, member)
            rows.append(unpack_row(member, repr(score).encode(), packed))
    return [(row.user_id, row.username, row.total_score, row.games_played, row.last_played) for row in rows]
