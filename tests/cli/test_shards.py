"""`shardboard shards list`: what there is, also when not all of it answers."""

from __future__ import annotations

import json
from dataclasses import asdict

from infra.local.binaries import find_binaries, pgbouncer_version
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from tests.cli.shell import query, shardboard
from tests.db.shards import connected


async def test_every_shard_is_listed(clean: LocalCluster) -> None:
    assert (await shardboard(clean, "seed", "--players", 100, "--sessions", 500)).code == 0
    done = await shardboard(clean, "shards", "list", "--json")
    assert done.code == 0
    listed = done.json["shards"]
    assert done.json["map_error"] is None
    assert [shard["name"] for shard in listed] == ["shard1", "shard2", "shard3", "shard4"]
    assert [shard["buckets"] for shard in listed] == [1024] * 4
    # Seeding ends with an analyze, so that the estimates are exact.
    players = [count for (count,) in await query(clean, "select count(*) from players")]
    assert [shard["players_estimated"] for shard in listed] == players
    assert sum(shard["sessions_estimated"] for shard in listed) == 500
    keeps_prepared = pgbouncer_version(find_binaries().pgbouncer) >= (1, 21)
    assert all(shard["answers"] and shard["prepared"] is keeps_prepared for shard in listed)
    (version,) = {row[0].split()[0] for row in await query(clean, "show server_version")}
    assert {shard["server_version"] for shard in listed} == {version}
    assert {shard["schema_version"] for shard in listed} == {
        row[0] for row in await query(clean, "select version_num from alembic_version")
    }

    assert all((shard["health"], shard["slots"], shard["lag_bytes"]) == ("ok", 0, None) for shard in listed)

    table = await shardboard(clean, "shards", "list")
    assert table.out.splitlines()[0].split()[:3] == ["shard", "health", "buckets"]
    assert [line.split()[:3] for line in table.out.splitlines()[1:]] == [
        [f"shard{number}", "ok", "1,024"] for number in range(1, 5)
    ]


async def test_a_shard_that_does_not_answer_is_listed_too(clean: LocalCluster) -> None:
    shards = [asdict(shard) for shard in clean.shards]
    shards[2]["url"] = f"postgresql://nobody@127.0.0.1:{find_free_port(set())}/shardboard"
    env = {"SHARDBOARD_SHARDS": json.dumps(shards), "SHARDBOARD_REDIS_URL": clean.redis_url}
    done = await shardboard(None, "shards", "list", "--json", env=env)
    assert done.code == 1
    assert [shard["answers"] for shard in done.json["shards"]] == [True, True, False, True]
    assert done.err.startswith("shardboard: Shard shard3 does not answer")
    assert len(done.err.splitlines()) == 1


async def test_a_shard_that_the_settings_do_not_name_is_found_and_listed(clean: LocalCluster) -> None:
    shards = [asdict(shard) for shard in clean.shards[:1]]
    done = await shardboard(None, "shards", "list", "--json", env={"SHARDBOARD_SHARDS": json.dumps(shards)})
    assert (done.code, done.json["map_error"]) == (0, None)
    assert [shard["name"] for shard in done.json["shards"]] == ["shard1", "shard2", "shard3", "shard4"]


async def test_a_bucket_that_is_nobodys_is_told_of(clean: LocalCluster) -> None:
    async with connected(clean.shards[3].direct_url) as connection:
        await connection.execute("delete from bucket_owner where bucket = 3072")
        try:
            done = await shardboard(clean, "shards", "list")
        finally:
            await connection.execute("insert into bucket_owner values (3072, 'owned', 1)")
    assert done.code == 1
    assert "1 of 4096 buckets have no owner, the first is 3072" in done.err


async def test_a_bucket_on_its_way_is_nothing_wrong(clean: LocalCluster) -> None:
    async with connected(clean.shards[3].direct_url) as connection:
        await connection.execute("delete from bucket_owner where bucket = 3072")
        await connection.execute("insert into bucket_handover values (3072, 2, 'shard1')")
        try:
            done = await shardboard(clean, "shards", "list")
        finally:
            await connection.execute("insert into bucket_owner values (3072, 'owned', 1)")
    assert (done.code, done.err) == (0, "")
