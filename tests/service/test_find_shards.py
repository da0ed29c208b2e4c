"""The shards of the settings lead to all others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from db.directory import DirectoryEntry, write_directory
from db.postgres import ConnectionLimits, Postgres
from infra.local.cluster import LocalCluster
from service.find_shards import find_shards
from tests.db.shards import connected
from tests.sharding.routers import opened_direct

ALL = ["shard1", "shard2", "shard3", "shard4"]


@pytest.fixture
async def directory(cluster: LocalCluster) -> AsyncIterator[LocalCluster]:
    """The session's cluster; what a test wrote into the directory of shard 2 is forgotten."""
    yield cluster
    shard = cluster.shards[1]
    async with connected(shard.direct_url) as connection, opened_direct(shard) as (postgres,):
        await connection.execute("delete from shard_directory")
        await write_directory(postgres, entries_of(cluster))


def entries_of(cluster: LocalCluster) -> list[DirectoryEntry]:
    return [DirectoryEntry(shard.name, shard.url, shard.direct_url) for shard in cluster.shards]


def seeds_of(cluster: LocalCluster, *numbers: int) -> list[DirectoryEntry]:
    return [replace(entries_of(cluster)[number - 1], version=0) for number in numbers]


def connect(entry: DirectoryEntry) -> Postgres:
    return Postgres(entry.name, entry.direct_url, ConnectionLimits(connect_timeout_s=1.0))


async def tell_second(cluster: LocalCluster, *entries: DirectoryEntry) -> None:
    async with opened_direct(cluster.shards[1]) as (postgres,):
        await write_directory(postgres, entries)


async def test_any_of_them_leads_to_all(directory: LocalCluster) -> None:
    entries = entries_of(directory)
    assert await find_shards(seeds_of(directory, 3), connect) == [entries[2], *entries[:2], entries[3]]
    assert await find_shards(seeds_of(directory, 4, 1, 2, 3), connect) == [entries[3], *entries[:3]]


async def test_what_only_one_knows_is_found_over_the_others(directory: LocalCluster, unused_tcp_port: int) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/shardboard"
    away = DirectoryEntry("shard9", nowhere, nowhere, capacity_bytes=7, version=3)
    await tell_second(directory, away)
    found = await find_shards(seeds_of(directory, 1), connect)
    assert [entry.name for entry in found] == [*ALL, "shard9"]
    assert found[-1] == away


async def test_removed_shards_are_left_out(directory: LocalCluster) -> None:
    third = entries_of(directory)[2]
    await tell_second(directory, replace(third, removed=True, version=2))
    found = await find_shards(seeds_of(directory, 1, 3), connect)
    assert [entry.name for entry in found] == ["shard1", "shard2", "shard4"]
    await tell_second(directory, replace(third, version=3))
    found = await find_shards(seeds_of(directory, 1, 3), connect)
    assert [entry.name for entry in found] == ["shard1", "shard3", "shard2", "shard4"]


async def test_the_address_of_the_settings_wins(directory: LocalCluster) -> None:
    second = entries_of(directory)[1]
    await tell_second(directory, replace(second, url="elsewhere", direct_url="elsewhere", capacity_bytes=9, version=8))
    found = await find_shards(seeds_of(directory, 1, 2), connect)
    assert found[1] == replace(second, capacity_bytes=9, version=8)


async def test_seeds_that_tell_nothing_are_all_there_is(directory: LocalCluster, unused_tcp_port: int) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/shardboard"
    away = DirectoryEntry("shard1", nowhere, nowhere, version=0)
    wrong = replace(seeds_of(directory, 2)[0], name="shard7")
    assert await find_shards([away, wrong], connect) == [away, wrong]
