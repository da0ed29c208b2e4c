"""Routers as different processes have them, and what an operator's hand does to the shards behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from app.parts import make_router
from db.history import NEWEST, HistoryRequest
from db.ownership import claim_buckets, freeze_buckets, release_buckets
from db.postgres import Postgres
from infra.local.cluster import LocalCluster
from infra.local.cluster_file import ShardUrls
from sharding.placement import deal_out
from sharding.router import Router
from tests.db.shards import connected
from tests.factories import make_settings
from tests.waiting import until

_TABLES = ("players", "leaderboard", "game_sessions")


@asynccontextmanager
async def opened_router(cluster: LocalCluster, **settings: Any) -> AsyncIterator[Router]:
    """A router of its own, as every process has one."""
    router = make_router(make_settings(cluster, **settings))
    try:
        await router.open()
        yield router
    finally:
        await router.close()


async def reset_owners(cluster: LocalCluster) -> None:
    """Give every bucket back to the shard that had it at first."""
    for shard, buckets in zip(cluster.shards, deal_out(len(cluster.shards)), strict=True):
        async with connected(shard.direct_url) as connection, connection.transaction():
            await connection.execute("delete from bucket_owner")
            await connection.execute("delete from bucket_handover")
            await connection.execute(
                "insert into bucket_owner select b, 'owned', 1 from unnest($1::integer[]) as b", list(buckets)
            )


async def set_state(url: str, bucket: int, state: str) -> None:
    """Freeze or thaw a bucket, and wait until no transaction that began before can still write to it."""
    async with connected(url) as connection:
        await connection.execute("update bucket_owner set state = $2 where bucket = $1", bucket, state)
        changed = await connection.fetchval("select pg_current_xact_id()::text::bigint")
        xmin = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint > $1"
        await until(lambda: connection.fetchval(xmin, changed))


async def move_bucket(source_url: str, target_url: str, bucket: int, epoch: int) -> None:
    """Move a bucket with all it holds: freeze, copy, give to the target with a new epoch, take from the source."""
    await set_state(source_url, bucket, "frozen")
    async with connected(source_url) as source, connected(target_url) as target, target.transaction():
        for table in _TABLES:
            rows = await source.fetch(f"select * from {table} where bucket = $1", bucket)
            if rows:
                await target.copy_records_to_table(
                    table, records=[tuple(row) for row in rows], columns=[*rows[0].keys()]
                )
        await target.execute("insert into bucket_owner values ($1, 'owned', $2)", bucket, epoch)
    async with connected(source_url) as source, source.transaction():
        await source.execute("delete from bucket_owner where bucket = $1", bucket)
        for table in _TABLES:
            await source.execute(f"delete from {table} where bucket = $1", bucket)


@asynccontextmanager
async def opened_direct(*shards: ShardUrls) -> AsyncIterator[list[Postgres]]:
    """Shards as a mover reaches them."""
    postgreses = [Postgres(shard.name, shard.direct_url) for shard in shards]
    try:
        yield postgreses
    finally:
        await asyncio.gather(*(postgres.close() for postgres in postgreses))


async def freeze(postgres: Postgres, buckets: Sequence[int]) -> dict[int, int]:
    """Freeze buckets for ten seconds."""
    frozen = await freeze_buckets(postgres, buckets, move_id=uuid4(), marker=1, bound_ms=10_000, lock_ms=5_000)
    assert frozen.keys() == set(buckets)
    return frozen


async def history_of(router: Router, user_id: int) -> tuple[list[int], int]:
    """A player's scores, newest first, and the number of games."""
    rows = await router.history(user_id, lambda bucket: HistoryRequest(bucket, user_id, NEWEST, None, 1000))
    return [session.score for session in rows.sessions], rows.games_played


async def hand_over(source: ShardUrls, target: ShardUrls, buckets: Sequence[int]) -> dict[int, int]:
    """Freeze buckets, copy what they hold, and release them, with the service's own functions.

    The target does not know yet; these are its epochs. The source keeps its rows.
    """
    async with opened_direct(source) as (postgres,):
        await freeze(postgres, buckets)
        await copy_rows(source, target, buckets)
        epochs = await release_buckets(postgres, buckets, target.name, lock_ms=5_000)
    assert epochs.keys() == set(buckets)
    return epochs


async def tell(target: ShardUrls, epochs: dict[int, int]) -> None:
    """Let a shard know what it was given."""
    async with opened_direct(target) as (postgres,):
        await claim_buckets(postgres, epochs)


async def switch(source: ShardUrls, target: ShardUrls, buckets: Sequence[int]) -> None:
    """A whole switch as a mover does it, and the source's clean-up."""
    await tell(target, await hand_over(source, target, buckets))
    await drop_rows(source, buckets)


async def copy_rows(source: ShardUrls, target: ShardUrls, buckets: Sequence[int]) -> None:
    """Put another shard's rows of buckets into a shard, as replication would: changed by the target's transaction."""
    async with connected(source.direct_url) as here, connected(target.direct_url) as there, there.transaction():
        for table in _TABLES:
            await there.execute(f"delete from {table} where bucket = any ($1)", buckets)
            rows = await here.fetch(f"select * from {table} where bucket = any ($1)", buckets)
            if rows:
                await there.copy_records_to_table(
                    table, records=[tuple(row) for row in rows], columns=[*rows[0].keys()]
                )
        await there.execute(
            "update leaderboard set changed_xid = pg_current_xact_id() where bucket = any ($1)", buckets
        )


async def drop_rows(shard: ShardUrls, buckets: Sequence[int]) -> None:
    """Take a shard's rows of buckets away, whoever owns them."""
    async with connected(shard.direct_url) as connection, connection.transaction():
        for table in _TABLES:
            await connection.execute(f"delete from {table} where bucket = any ($1)", buckets)


async def owned_by(shard: ShardUrls, bucket: int) -> bool:
    """Whether a shard says that it owns a bucket."""
    async with connected(shard.direct_url) as connection:
        return bool(await connection.fetchval("select exists (select from bucket_owner where bucket = $1)", bucket))


async def totals(cluster: LocalCluster) -> dict[int, tuple[int, int]]:
    """What the shards hold together: total score and games played by user id, and that the sessions add up to it."""
    held: dict[int, tuple[int, int]] = {}
    for shard in cluster.shards:
        async with connected(shard.direct_url) as connection:
            rows = await connection.fetch("select user_id, total_score, games_played from leaderboard")
            summed = await connection.fetch(
                "select user_id, sum(score)::bigint, count(*) from game_sessions group by 1"
            )
        found = {row[0]: (row[1], row[2]) for row in rows}
        assert {row[0]: (row[1], row[2]) for row in summed} == found
        assert not found.keys() & held.keys()
        held |= found
    return held


class LossyProxy:
    """A TCP proxy that, when told to, lets a batch reach the server and commit, and loses the answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.losses_due = 0
        self.lost = 0
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    def close(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)

        async def to_server() -> None:
            while data := await reader.read(65536):
                far_writer.write(data)

        async def to_client() -> None:
            while data := await far_reader.read(65536):
                # The outcome of a batch, which the server tells only after its commit.
                if self.losses_due and b"recorded" in data:
                    self.losses_due -= 1
                    self.lost += 1
                    return
                writer.write(data)

        directions = [asyncio.create_task(to_server()), asyncio.create_task(to_client())]
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
        writer.close()
        far_writer.close()
