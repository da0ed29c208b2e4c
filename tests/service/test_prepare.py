from __future__ import annotations

import asyncio
import sys

from db.directory import DirectoryEntry
from domain.errors import OperatorError, Unavailable
from service.prepare import Prepared, migrate_shards
from tests.conftest import MakeCluster
from tests.db.shards import connected


async def buckets_of(url: str) -> list[int]:
    async with connected(url) as connection:
        return [row[0] for row in await connection.fetch("select bucket from bucket_owner order by bucket")]


async def prepare(*shards: DirectoryEntry) -> list[Prepared]:
    return await migrate_shards(shards, back_days=30, months_ahead=3)


async def test_shards_are_prepared_all_or_reported(make_cluster: MakeCluster, unused_tcp_port: int) -> None:
    async with make_cluster(shard_count=2) as cluster:
        one, two = (DirectoryEntry(shard.name, shard.url, shard.direct_url) for shard in cluster.shards)
        nowhere = f"postgresql://shardboard:x@127.0.0.1:{unused_tcp_port}/shardboard"
        away = DirectoryEntry("shard3", nowhere, nowhere)
        wrong = DirectoryEntry("shard4", one.url, one.direct_url)

        # One that is away keeps nobody from its migration; buckets are dealt out only when all are there.
        results = await prepare(one, away, two, wrong)
        assert [(r.shard, r.before, type(r.error)) for r in results] == [
            ("shard1", None, type(None)),
            ("shard3", None, Unavailable),
            ("shard2", None, type(None)),
            ("shard4", None, OperatorError),
        ]
        assert await buckets_of(one.direct_url) == await buckets_of(two.direct_url) == []

        # Two at once, as when two machines start together.
        program = (
            "import asyncio, sys; from service.prepare import *; "
            "print([r.error for r in asyncio.run(migrate_shards([DirectoryEntry('shard1', *sys.argv[1:3]), "
            "DirectoryEntry('shard2', *sys.argv[3:])], back_days=30, months_ahead=3))])"
        )
        processes = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", program, one.url, one.direct_url, two.url, two.direct_url),
                stdout=asyncio.subprocess.PIPE,
            )
            for _ in range(2)
        ]
        shown = [(await process.communicate())[0].decode().strip() for process in processes]
        assert shown == ["[None, None]"] * 2
        assert await buckets_of(one.direct_url) == list(range(2048))
        assert await buckets_of(two.direct_url) == list(range(2048, 4096))

        # Again changes nothing, also after a bucket has moved.
        async with connected(one.direct_url) as source, connected(two.direct_url) as target:
            await target.execute("insert into bucket_owner values (0, 'owned', 2)")
            await source.execute("delete from bucket_owner where bucket = 0")
        await prepare(one, two)
        assert await buckets_of(one.direct_url) == list(range(1, 2048))
        assert await buckets_of(two.direct_url) == [0, *range(2048, 4096)]

        # A bucket that was handed over is dealt out to nobody, also where its new owner does not know of it yet.
        async with connected(one.direct_url) as first, connected(two.direct_url) as second:
            await first.execute("insert into bucket_owner values (0, 'owned', 1)")
            await second.execute("insert into bucket_handover select bucket, 3, 'shard1' from bucket_owner")
            await second.execute("delete from bucket_owner")
        await prepare(one, two)
        assert await buckets_of(one.direct_url) == list(range(2048))
        assert await buckets_of(two.direct_url) == []
