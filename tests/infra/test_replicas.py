"""Replicas of a local cluster: made, kept over restarts, made anew where they cannot catch up, taken away."""

from __future__ import annotations

from pathlib import Path

import asyncpg

from infra.local.cluster import LocalCluster
from infra.local.control import add_local_shard
from tests.conftest import MakeCluster
from tests.waiting import until


async def _ask(url: str, question: str) -> object:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def _slots(cluster: LocalCluster, number: int = 0) -> object:
    return await _ask(
        cluster.shards[number].direct_url, "select array_agg(slot_name::text order by 1) from pg_replication_slots"
    )


async def _follows(cluster: LocalCluster, url: str, number: int = 0) -> bool:
    """Whether a replica replays what its shard writes from now on."""
    position = await _ask(cluster.shards[number].direct_url, "select pg_current_wal_flush_lsn()::text")
    assert await _ask(url, "select pg_is_in_recovery()") is True

    async def has_come() -> bool:
        return bool(await _ask(url, f"select pg_last_wal_replay_lsn() >= '{position}'"))

    await until(has_come, 30)
    return True


async def test_replicas_are_made_kept_and_taken_away(make_cluster: MakeCluster, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with make_cluster(1, data, replica_count=1) as cluster:
        (replica,) = cluster.shards[0].replicas
        assert await _follows(cluster, replica)
        assert await _slots(cluster) == ["shardboard_replica_1"]
        # A shard that is added has as many as the others.
        added = await add_local_shard(data, "added")
        assert len(added.replicas) == 1
        assert await _follows(cluster, added.replicas[0], 1)
        await cluster.remove_shard("added")
        assert not (data / "added").exists()
    async with make_cluster(1, data) as cluster:
        assert cluster.shards[0].replicas == (replica,)
        # Its slot is gone, and with it maybe what the replica has not got yet: the next start makes it anew.
        await cluster.child("replica").stop()
        await _ask(cluster.shards[0].direct_url, "select pg_drop_replication_slot('shardboard_replica_1')")
        mark = data / "shard1" / "replica1" / "postgres" / "mark"
        mark.touch()
    async with make_cluster(1, data) as cluster:
        assert not mark.exists()
        assert await _follows(cluster, replica)
    async with make_cluster(1, data, replica_count=0) as cluster:
        assert cluster.shards[0].replicas == ()
        assert await _slots(cluster) is None
        assert [child.spec.role for child in cluster.children] == ["valkey", "postgres", "pgbouncer"]
    assert not (data / "shard1" / "replica1").exists()
