"""`verify_shards` finds every kind of fault, and tells copies that have a reason from what is left behind."""

from __future__ import annotations

import pytest

from db.clean_up import delete_players_of, holds_any
from domain.errors import MapError
from infra.local.cluster import LocalCluster
from service.verify_shards import ShardFault, verify_shards
from sharding.placement import bucket_of
from sharding.reshard.fleet import Fleet
from sharding.router import Router
from tests.db.shards import connected
from tests.factories import users_of_shard
from tests.sharding.reshard.fleets import play

PLAYER, OTHER = users_of_shard(1, 2)
BUCKET = bucket_of(PLAYER)


async def faults_after(shards: LocalCluster, fleet: Fleet, statement: str, *, number: int = 0) -> list[ShardFault]:
    """What is found after a statement on one shard."""
    async with connected(shards.shards[number].direct_url) as connection:
        await connection.execute(statement)
    return (await verify_shards(fleet)).faults


async def test_a_deployment_that_adds_up(shards: LocalCluster, fleet: Fleet, router: Router) -> None:
    await play(router, [PLAYER, OTHER, *users_of_shard(3, 5)], games=3)
    verified = await verify_shards(fleet)
    assert (verified.players, verified.sessions, verified.copies, verified.faults) == (7, 21, 0, [])


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        (
            f"update leaderboard set total_score = 7 where user_id = {PLAYER}",
            "total 7 of 2 game(s), sessions sum up to ",
        ),
        (f"update leaderboard set games_played = 1 where user_id = {PLAYER}", "of 1 game(s), sessions sum up to "),
        (
            f"delete from game_sessions where id in (select id from game_sessions where user_id = {PLAYER} limit 1)",
            "of 2 game(s), sessions sum up to ",
        ),
        (f"delete from leaderboard where user_id = {PLAYER}", "total none of 0 game(s), sessions sum up to "),
        (f"delete from players where user_id = {PLAYER}", "has a standing and no name"),
        (
            f"update players set bucket = {bucket_of(OTHER)} where user_id = {PLAYER}",
            f"players has it in bucket {bucket_of(OTHER)}, its bucket is {BUCKET}",
        ),
    ],
)
async def test_a_player_who_does_not_add_up_is_named(
    shards: LocalCluster, fleet: Fleet, router: Router, statement: str, what: str
) -> None:
    await play(router, [PLAYER, OTHER], games=2)
    faults = await faults_after(shards, fleet, statement)
    assert {(fault.shard, fault.player) for fault in faults} == {("shard1", PLAYER)}
    assert any(what in fault.what for fault in faults)


async def test_pruned_sessions_are_not_missed(shards: LocalCluster, fleet: Fleet, router: Router) -> None:
    await play(router, [PLAYER], games=2)
    try:
        faults = await faults_after(
            shards, fleet, "update shard_info set pruned_before = now(); delete from game_sessions"
        )
        assert faults == []
    finally:
        await faults_after(shards, fleet, "update shard_info set pruned_before = null")


async def test_rows_that_no_move_explains_are_named(shards: LocalCluster, fleet: Fleet) -> None:
    faults = await faults_after(
        shards, fleet, f"insert into players values ({BUCKET}, {PLAYER}, 'who', now())", number=1
    )
    assert [(fault.shard, fault.player) for fault in faults] == [("shard2", None)]
    assert f"1 row(s) of bucket {BUCKET}, that it never owned" in faults[0].what


@pytest.mark.parametrize(
    ("statement", "trace"),
    [
        ("create publication shardboard_move_00 for table players", "publication shardboard_move_00"),
        (
            "select pg_create_logical_replication_slot('shardboard_move_00', 'pgoutput')",
            "slot shardboard_move_00",
        ),
        (
            "insert into move_markers values ('00000000-0000-0000-0000-000000000001', 1)",
            "marker shardboard_move_00000000000000000000000000000001",
        ),
    ],
)
async def test_what_an_ended_move_left_is_named(shards: LocalCluster, fleet: Fleet, statement: str, trace: str) -> None:
    faults = await faults_after(shards, fleet, statement, number=2)
    assert faults == [ShardFault("shard3", None, f"{trace} is left of a move that has ended")]


async def test_a_bucket_without_an_owner_is_an_error(shards: LocalCluster, fleet: Fleet) -> None:
    with pytest.raises(MapError, match=f"1 of 4096 buckets have no owner, the first is {BUCKET}"):
        await faults_after(shards, fleet, f"delete from bucket_owner where bucket = {BUCKET}")


async def test_the_clean_up_never_touches_what_a_shard_owns(shards: LocalCluster, fleet: Fleet, router: Router) -> None:
    await play(router, [PLAYER, OTHER], games=2)
    postgres = fleet.postgres("shard1")
    both = [BUCKET, bucket_of(OTHER)]
    assert await delete_players_of(postgres, both, 10) == (0, 0)
    await postgres.call("delete from bucket_owner where bucket = $1", BUCKET)
    assert await delete_players_of(postgres, both, 10) == (1, 4)
    assert not await holds_any(postgres, [BUCKET])
    assert await holds_any(postgres, [bucket_of(OTHER)])
