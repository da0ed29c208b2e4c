"""What cannot work is refused with its reason before anything is changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db.server_facts import ServerFacts, read_server_facts
from domain.errors import OperatorError
from infra.local.cluster import LocalCluster
from service.plan_moves import By as WeighedBy
from service.plan_moves import Drain, MoveBuckets, Plan, Rebalance, Revert, plan_moves
from sharding.placement import bucket_of
from sharding.reshard.checks import why_unfit
from sharding.reshard.fleet import Fleet
from sharding.reshard.mover import read_all_moves
from sharding.router import Router
from tests.db.shards import connected, contents
from tests.factories import users_of_shard
from tests.sharding.reshard.fleets import buckets_of, plan, play, run, with_capacity

MOVING = users_of_shard(1, 6)
BUCKETS = buckets_of(MOVING)

FIT = ServerFacts(
    major=18, wal_level="logical", slots_max=16, slots_used=0, senders_max=16, senders_used=0, workers_max=8, bytes=0,
    may_replicate=True, may_subscribe=True, encoding="UTF8",
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"major": 14}, "Shard s is PostgreSQL 14; 15 or newer is needed."),
        (
            {"wal_level": "replica"},
            "Shard s has wal_level = replica; moves need `wal_level = logical` and a restart of it.",
        ),
        (
            {"slots_max": 6, "slots_used": 2},
            "Shard s has 4 replication slots free and a move takes 5; set max_replication_slots to 7 or more.",
        ),
        (
            {"senders_max": 4},
            "Shard s has 4 WAL senders free and a move takes 5; set max_wal_senders to 5 or more.",
        ),
        ({"workers_max": 1}, "Shard s has max_logical_replication_workers = 1; set it to 4 or more."),
        ({"may_replicate": False}, "The role of shard s may not replicate: `alter role … replication`."),
        (
            {"may_subscribe": False},
            "The role of shard s may not subscribe: `grant pg_create_subscription to …` (a superuser before 16).",
        ),
        ({"encoding": "LATIN1"}, "Shard s has the encoding LATIN1; UTF8 is needed."),
    ],
)
def test_a_server_that_moves_cannot_use_says_what_it_lacks(change: dict[str, object], reason: str) -> None:
    assert why_unfit("s", FIT) == []
    assert why_unfit("s", replace(FIT, **change)) == [reason]  # type: ignore[arg-type]


async def test_the_facts_of_a_shard(fleet: Fleet) -> None:
    facts = await read_server_facts(fleet.postgres("shard1"))
    assert (facts.major >= 15, facts.wal_level, facts.slots_used, facts.encoding) == (True, "logical", 0, "UTF8")
    assert (facts.slots_max, facts.senders_max, facts.workers_max) == (16, 16, 8)
    assert facts.may_replicate
    assert facts.may_subscribe


async def refused(
    shards: LocalCluster, fleet: Fleet, wanted: Drain | MoveBuckets | Rebalance | Revert, **options: int
) -> str:
    """Why a plan is refused; nothing of any shard changes by asking."""
    before = [await contents(shard.direct_url) for shard in shards.shards]
    with pytest.raises(OperatorError) as error:
        await plan_moves(fleet, wanted, **options)  # type: ignore[arg-type]
    assert [await contents(shard.direct_url) for shard in shards.shards] == before
    assert await read_all_moves(fleet) == []
    return str(error.value)


async def test_an_unknown_shard_is_refused(shards: LocalCluster, fleet: Fleet, router: Router) -> None:
    await play(router, MOVING, games=1)
    for wanted in (MoveBuckets(BUCKETS, "shard9"), Drain("shard9")):
        reason = await refused(shards, fleet, wanted)
        assert "shard9" in reason
        assert "shard1, shard2, shard3, shard4" in reason


async def test_a_target_that_is_the_source_is_refused(shards: LocalCluster, fleet: Fleet) -> None:
    reason = await refused(shards, fleet, MoveBuckets([BUCKETS[0], 4000], "shard1"))
    assert f"{BUCKETS[0]}" in reason
    assert "shard1" in reason


async def test_a_target_without_room_is_refused(shards: LocalCluster, fleet: Fleet, router: Router) -> None:
    await play(router, MOVING, games=2)
    reason = await refused(shards, with_capacity(fleet, "shard2", 1_000_000), MoveBuckets(BUCKETS, "shard2"))
    assert reason.startswith("Shard shard2 has no room: ")
    assert "are over its capacity of 1 MB" in reason
    assert reason.endswith("Nothing was changed.")
    assert "the disk has 0 MB left; make room" in await refused(
        shards, fleet, MoveBuckets(BUCKETS, "shard2"), free_bytes=100
    )
    enough = await plan_moves(with_capacity(fleet, "shard2", 10**12), MoveBuckets(BUCKETS, "shard2"), free_bytes=10**12)
    assert [move.buckets for move in enough.moves] == [tuple(BUCKETS)]


async def test_a_target_of_another_schema_is_refused(shards: LocalCluster, fleet: Fleet) -> None:
    async with connected(shards.shards[1].direct_url) as connection:
        newest = await connection.fetchval("select version_num from alembic_version")
        await connection.execute("update alembic_version set version_num = '0001'")
        try:
            reason = await refused(shards, fleet, MoveBuckets(BUCKETS, "shard2"))
        finally:
            await connection.execute("update alembic_version set version_num = $1", newest)
    assert reason == (
        f"The shards have different schemas: shard1 at {newest}, shard2 at 0001. Run `shardboard migrate` first. "
        "Nothing was changed."
    )


async def test_a_target_with_foreign_rows_in_it_is_refused(shards: LocalCluster, fleet: Fleet) -> None:
    async with connected(shards.shards[1].direct_url) as connection:
        await connection.execute("insert into players values ($1, $2, 'who', now())", bucket_of(MOVING[0]), MOVING[0])
    reason = await refused(shards, fleet, MoveBuckets(BUCKETS, "shard2"))
    assert (
        f"Shard shard2 holds 1 rows of 1 bucket(s) that are not its own, the first is {bucket_of(MOVING[0])}" in reason
    )


async def test_foreign_rows_that_came_after_the_plan_stop_the_move(
    shards: LocalCluster, fleet: Fleet, router: Router
) -> None:
    await play(router, MOVING, games=1)
    await plan(fleet, BUCKETS, "shard2")
    async with connected(shards.shards[1].direct_url) as connection:
        await connection.execute("insert into players values ($1, $2, 'who', now())", bucket_of(MOVING[0]), MOVING[0])
    with pytest.raises(OperatorError, match="Shard shard2 holds rows of the buckets that are to come"):
        await run(fleet)
    async with connected(shards.shards[1].direct_url) as connection:
        assert await connection.fetchval("select count(*) from players") == 1


async def test_a_second_plan_beside_an_unfinished_one_is_refused(fleet: Fleet, router: Router) -> None:
    await play(router, MOVING, games=1)
    await plan(fleet, BUCKETS, "shard2")
    with pytest.raises(
        OperatorError, match=r"A plan is under way: 1 move\(s\) have not ended; planned is that of 6 bucket"
    ):
        await plan_moves(fleet, Rebalance(WeighedBy.BUCKETS))


async def test_there_is_nothing_to_revert_at_first(shards: LocalCluster, fleet: Fleet) -> None:
    assert "There is nothing to revert" in await refused(shards, fleet, Revert())


async def test_a_plan_tells_what_every_shard_has_before_and_after(
    shards: LocalCluster, fleet: Fleet, router: Router
) -> None:
    users = [*MOVING, *users_of_shard(2, 3), *users_of_shard(4, 1)]
    await play(router, users, games=3)
    made: Plan = await plan_moves(fleet, MoveBuckets(BUCKETS, "shard2"))
    (move,) = made.moves
    assert (move.source, move.target, move.buckets) == ("shard1", "shard2", tuple(BUCKETS))
    assert move.rows_planned == len(MOVING) * (2 + 3)
    assert {name: load["players"] for name, load in made.before.items()} == {
        "shard1": 6,
        "shard2": 3,
        "shard3": 0,
        "shard4": 1,
    }
    assert {name: load["players"] for name, load in made.after.items()} == {
        "shard1": 0,
        "shard2": 9,
        "shard3": 0,
        "shard4": 1,
    }
    count = len(BUCKETS)
    assert {name: load["buckets"] for name, load in made.after.items()} == {
        "shard1": 1024 - count, "shard2": 1024 + count, "shard3": 1024, "shard4": 1024,
    }  # fmt: skip
    assert await read_all_moves(fleet) == []


async def test_an_even_deployment_has_nothing_to_rebalance(fleet: Fleet) -> None:
    assert (await plan_moves(fleet, Rebalance(WeighedBy.BUCKETS))).moves == []
