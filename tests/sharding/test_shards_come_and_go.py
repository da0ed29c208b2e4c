"""Shards are added and removed while a router runs that was told of others only."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import asdict, replace

import pytest

from db.directory import DirectoryEntry, read_directory, write_directory
from domain.errors import OperatorError
from infra.local.cluster import LocalCluster
from service.prepare import migrate_shards
from sharding.placement import bucket_of
from sharding.router import Router
from tests.conftest import MakeCluster
from tests.factories import make_submission, users_of_shard
from tests.sharding.routers import hand_over, history_of, opened_direct, opened_router, switch, totals
from tests.waiting import until

MOVING = users_of_shard(1, 3, shard_count=2)
BUCKETS = [bucket_of(user) for user in MOVING]


def entries_of(cluster: LocalCluster, count: int) -> list[DirectoryEntry]:
    return [DirectoryEntry(shard.name, shard.url, shard.direct_url) for shard in cluster.shards[:count]]


@pytest.fixture
async def grown(make_cluster: MakeCluster) -> AsyncIterator[LocalCluster]:
    """A deployment of two shards, and an empty third that nobody knows of."""
    async with make_cluster(shard_count=3) as cluster:
        for result in await migrate_shards(entries_of(cluster, 2), back_days=30, months_ahead=1):
            assert result.error is None
        yield cluster


def seeds_of(cluster: LocalCluster, count: int = 2) -> dict[str, object]:
    return {"shards": [asdict(shard) for shard in cluster.shards[:count]]}


async def add_third(cluster: LocalCluster) -> None:
    for result in await migrate_shards(entries_of(cluster, 3), back_days=30, months_ahead=1):
        assert result.error is None


async def tell_all(cluster: LocalCluster, *entries: DirectoryEntry) -> None:
    async with opened_direct(*cluster.shards[:2]) as postgreses:
        for postgres in postgreses:
            await write_directory(postgres, entries)


async def directories(cluster: LocalCluster, count: int = 2) -> list[list[DirectoryEntry]]:
    async with opened_direct(*cluster.shards[:count]) as postgreses:
        return [sorted(await read_directory(postgres), key=lambda entry: entry.name) for postgres in postgreses]


async def test_a_router_follows_shards_that_come_and_go(grown: LocalCluster) -> None:
    source, _, third = grown.shards
    watched: list[list[str]] = []
    async with opened_router(grown, **seeds_of(grown)) as router:
        unwatch = router.watch_shards(lambda: watched.append(list(router.shards)))
        before = router.shards
        assert list(before) == ["shard1", "shard2"]
        await asyncio.gather(*(router.record(make_submission(user, 1)) for user in MOVING))

        # Nothing tells the router of the shard but what it is refused.
        await add_third(grown)
        await switch(source, third, BUCKETS)
        assert (await router.record(make_submission(MOVING[0], 10))).total == 11
        assert await history_of(router, MOVING[1]) == ([1], 1)
        assert list(before) == ["shard1", "shard2"]
        assert list(router.shards) == ["shard1", "shard2", "shard3"]
        assert router.owned() == {"shard1": 2045, "shard2": 2048, "shard3": 3}
        assert (router.shards["shard1"], router.shards["shard2"]) == tuple(before.values())

        # Gone again, and what was on its way to it is still answered.
        await switch(third, source, BUCKETS)
        left = router.shards["shard3"]
        removed = replace(entries_of(grown, 3)[2], removed=True, version=2)
        await tell_all(grown, removed)
        late = left.writer.record(bucket_of(MOVING[0]), make_submission(MOVING[0], 100))
        await router.refresh()
        assert list(router.shards) == ["shard1", "shard2"]
        assert (await late).outcome == "moved"
        await until(lambda: left.postgres._lanes.is_closed)
        assert (await router.record(make_submission(MOVING[0], 100))).total == 111

        unwatch()
        await tell_all(grown, replace(removed, removed=False, version=3))
        await router.refresh()
        assert list(router.shards) == ["shard1", "shard2", "shard3"]
        assert watched == [["shard1", "shard2", "shard3"], ["shard1", "shard2"]]
        assert router.shards["shard3"] is not left


async def test_a_removed_shard_is_left_out_even_where_the_settings_name_it(grown: LocalCluster) -> None:
    await add_third(grown)
    await tell_all(grown, replace(entries_of(grown, 3)[2], removed=True, version=2))
    async with opened_router(grown, **seeds_of(grown, 3)) as router:
        assert list(router.shards) == ["shard1", "shard2"]


async def test_one_shard_of_the_settings_leads_to_all(grown: LocalCluster) -> None:
    await add_third(grown)
    async with opened_router(grown, **seeds_of(grown, 1)) as router:
        assert list(router.shards) == ["shard1", "shard2", "shard3"]
        assert router.owned() == {"shard1": 2048, "shard2": 2048, "shard3": 0}
        assert (await router.record(make_submission(users_of_shard(2, 1, shard_count=2)[0], 1))).total == 1


async def test_the_address_of_the_settings_wins_and_a_new_one_of_the_directory_is_followed(
    grown: LocalCluster, unused_tcp_port: int
) -> None:
    await add_third(grown)
    nowhere = f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/shardboard"
    second, third = entries_of(grown, 3)[1:]
    lost = [replace(entry, url=nowhere, version=2) for entry in (second, third)]
    await tell_all(grown, *lost)
    async with opened_router(grown, **seeds_of(grown)) as router:
        assert router.owned() == {"shard1": 2048, "shard2": 2048, "shard3": 0}
        assert router.map.silent == {"shard3"}
        left = router.shards["shard3"]
        await tell_all(grown, replace(third, version=3))
        await router.refresh()
        assert router.map.silent == frozenset()
        assert router.shards["shard3"] is not left


async def test_what_only_a_directory_names_must_be_a_shard_to_be_used(
    grown: LocalCluster, caplog: pytest.LogCaptureFixture
) -> None:
    first = entries_of(grown, 1)[0]
    await tell_all(grown, replace(first, name="shard9"))
    caplog.set_level(logging.WARNING)
    async with opened_router(grown, **seeds_of(grown)) as router:
        assert list(router.shards) == ["shard1", "shard2"]
        await router.refresh()
        assert (await router.record(make_submission(MOVING[0], 1))).total == 1
    warnings = [record.message for record in caplog.records if "shard9" in record.message]
    assert warnings == [
        "shard shard9: The address of shard 'shard9' leads to the shard 'shard1'; check SHARDBOARD_SHARDS."
    ]

    # Where it owns something, going on without it would hide that.
    source = grown.shards[0]
    async with opened_router(grown, **seeds_of(grown)) as router:
        await hand_over(source, replace(source, name="shard9"), BUCKETS)
        with pytest.raises(OperatorError, match="The address of shard 'shard9' leads to the shard 'shard1'"):
            async with opened_router(grown, **seeds_of(grown)):
                raise AssertionError("opened")


async def test_everybody_knows_everybody_after_a_migration(grown: LocalCluster) -> None:
    one, two, three = entries_of(grown, 3)
    assert await directories(grown) == [[one, two]] * 2
    await add_third(grown)
    await add_third(grown)
    assert await directories(grown, 3) == [[one, two, three]] * 3
    moved = replace(two, url="postgresql://elsewhere/shardboard")
    limited = replace(three, capacity_bytes=10**9, version=7)
    await tell_all(grown, limited)
    await migrate_shards([one, moved, three], back_days=30, months_ahead=1)
    assert await directories(grown, 3) == [[one, replace(moved, version=2), limited]] * 3
    async with opened_router(grown, **seeds_of(grown, 3)) as router:
        assert router.owned() == {"shard1": 2048, "shard2": 2048, "shard3": 0}
    assert await totals(grown) == {}


def test_the_gate_is_as_wide_as_the_shards_are_many() -> None:
    made = Router([], lambda name, url: pytest.fail("connected"))
    assert [made._gate_width(count) for count in (0, 1, 4, 5, 8, 9)] == [1, 1, 1, 2, 2, 3]
