"""A mover killed at any step leaves one owner of each bucket, players who go on, and work that another one finishes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from db.ownership import read_ownership
from db.replication import drop_slot, read_slots
from domain.move import Phase, Wish
from infra.local.cluster import LocalCluster
from service.steer_moves import steer_moves
from service.verify_shards import verify_shards
from sharding.reshard.fleet import Fleet
from sharding.reshard.mover import read_all_moves
from sharding.router import Router
from tests.chaos.doomed_mover import Point, move_until_killed
from tests.db.shards import connected
from tests.factories import make_submission, users_of_shard
from tests.sharding.reshard.fleets import buckets_of, opened_fleet, owners_of, plan, run, traces
from tests.sharding.routers import opened_router, reset_owners, totals
from tests.waiting import until

# In more buckets than a mover switches at once.
MOVING = users_of_shard(1, 12)
BUCKETS = buckets_of(MOVING)
SOURCE, TARGET = "shard1", "shard2"
_SUBSCRIPTIONS = "select subname from pg_subscription where starts_with(subname, 'shardboard_move_')"

_FROZEN = "select count(*) from bucket_owner where state = 'frozen' and frozen_until > clock_timestamp()"

COPYING = [
    Point("before", "mover", "enter_phase"),
    Point("after", "mover", "enter_phase"),
    Point("after", "wiring", "make_partitions"),
    Point("after", "wiring", "ensure_publications"),
    Point("amid", "wiring", "ensure_slot"),
    Point("after", "wiring", "ensure_slot"),
    Point("amid", "wiring", "ensure_subscription"),
    Point("after", "wiring", "ensure_subscription"),
    Point("after", "mover", "read_progress"),
    Point("before", "mover", "enter_phase", 2),
]
FOLLOWING = [
    Point("after", "mover", "enter_phase", 2),
    Point("after", "compare", "digest_buckets"),
    Point("before", "switch", "freeze_buckets"),
    Point("amid", "switch", "freeze_buckets"),
    Point("after", "switch", "freeze_buckets"),
    Point("before", "switch", "release_buckets"),
]
SWITCHING = [
    Point("amid", "switch", "release_buckets"),
    Point("after", "switch", "release_buckets"),
    Point("amid", "switch", "claim_buckets"),
    Point("after", "switch", "claim_buckets"),
    Point("after", "switch", "thaw_buckets"),
    Point("after", "switch", "freeze_buckets", 2),
]
SWITCHED = [
    Point("after", "switch", "release_buckets", 2),
    Point("after", "switch", "claim_buckets", 2),
    Point("amid", "wiring", "drop_subscription"),
    Point("after", "wiring", "drop_subscription"),
    Point("amid", "wiring", "drop_slot"),
    Point("after", "wiring", "drop_slot"),
    Point("after", "wiring", "drop_publications"),
    Point("before", "mover", "enter_phase", 3),
    Point("after", "mover", "enter_phase", 3),
    Point("amid", "wiring", "delete_players_of"),
    Point("after", "wiring", "delete_players_of"),
    Point("before", "mover", "enter_phase", 4),
]
# Each leaves something else that has to be taken back.
TAKEN_BACK = [
    Point("after", "mover", "enter_phase"),
    Point("after", "wiring", "ensure_publications"),
    Point("after", "wiring", "ensure_slot"),
    Point("amid", "wiring", "ensure_subscription"),
    Point("after", "wiring", "ensure_subscription"),
    Point("after", "mover", "enter_phase", 2),
    Point("after", "switch", "freeze_buckets"),
]
ABORTING = [
    Point("after", "mover", "enter_phase"),
    Point("amid", "wiring", "drop_subscription"),
    Point("after", "wiring", "drop_subscription"),
    Point("after", "wiring", "drop_slot"),
    Point("after", "wiring", "drop_publications"),
    Point("amid", "wiring", "delete_players_of"),
    Point("after", "wiring", "delete_players_of"),
    Point("after", "wiring", "delete_orphans_of"),
    Point("before", "mover", "enter_phase", 2),
]


@pytest.fixture
async def movable(clean: LocalCluster) -> AsyncIterator[LocalCluster]:
    """The session's cluster without data; whatever a test leaves of its moves is taken away."""
    yield clean
    for shard in clean.shards:
        async with connected(shard.direct_url) as connection:
            for (name,) in await connection.fetch(_SUBSCRIPTIONS):
                await connection.execute(f"alter subscription {name} disable")
                await connection.execute(f"alter subscription {name} set (slot_name = none)")
                await connection.execute(f"drop subscription {name}")
    async with opened_fleet(clean) as fleet:
        for postgres in fleet.direct.values():
            for slot in await read_slots(postgres):
                await until(lambda postgres=postgres, name=slot.name: drop_slot(postgres, name))  # type: ignore[misc]
            for (name,) in await postgres.call("select pubname from pg_publication"):
                await postgres.call(f"drop publication {name}")
    await reset_owners(clean)


class World:
    """Players on shards, and what was recorded for them."""

    def __init__(self, cluster: LocalCluster, fleet: Fleet, router: Router) -> None:
        self.cluster = cluster
        self.fleet = fleet
        self._router = router
        self._recorded: Counter[int] = Counter()

    async def play(self) -> None:
        """One more game of everybody, which nothing may refuse."""
        outcomes = await asyncio.gather(*(self._router.record(make_submission(user, 3)) for user in MOVING))
        self._recorded.update(MOVING)
        for user, each in zip(MOVING, outcomes, strict=True):
            games = self._recorded[user]
            assert (each.outcome, each.total, each.games) == ("recorded", 3 * games, games)

    async def kill_mover(self, point: Point) -> None:
        """Let a mover work until it is killed at a point; nothing is wrong then, and players go on."""
        assert await move_until_killed(self.cluster.shards, point) == -9, f"it never came to {point}"
        owners = await owners_of(self.cluster, BUCKETS)
        assert {bucket: names for bucket, names in owners.items() if len(names) > 1} == {}
        # The router knows of nothing, and mends what the mover left undone.
        await self.play()
        assert {len(names) for names in (await owners_of(self.cluster, BUCKETS)).values()} == {1}

    async def check(self, phases: set[Phase]) -> None:
        """Everything has ended, and there is nothing but what has to be."""
        assert {move.phase for move in await read_all_moves(self.fleet)} == phases
        verified = await verify_shards(self.fleet)
        assert (verified.players, verified.sessions, verified.copies, verified.faults) == (
            *(len(MOVING), self._recorded.total()),
            *(0, []),
        )
        assert await traces(self.fleet) == {}
        assert await totals(self.cluster) == {user: (3 * games, games) for user, games in self._recorded.items()}
        for shard in self.cluster.shards:
            async with connected(shard.direct_url) as connection:
                assert await connection.fetchval(_FROZEN) == 0

    async def switched(self) -> int:
        """How many of the buckets the target owns."""
        owned = {each.bucket for each in (await read_ownership(self.fleet.postgres(TARGET))).owned}
        return len(owned & set(BUCKETS))


@pytest.fixture
async def world(movable: LocalCluster) -> AsyncIterator[World]:
    """Everybody has played, and a move of all of them is planned."""
    async with opened_fleet(movable) as fleet, opened_router(movable) as router:
        world = World(movable, fleet, router)
        await world.play()
        await plan(fleet, BUCKETS, TARGET)
        yield world


@pytest.mark.parametrize("point", [*COPYING, *FOLLOWING, *SWITCHING, *SWITCHED], ids=str)
async def test_the_next_mover_finishes(world: World, point: Point) -> None:
    await world.kill_mover(point)
    await run(world.fleet)
    await world.play()
    await world.check({Phase.DONE})
    assert await world.switched() == len(BUCKETS)


@pytest.mark.parametrize("point", TAKEN_BACK, ids=str)
async def test_the_next_mover_takes_it_back(world: World, point: Point) -> None:
    await world.kill_mover(point)
    await steer_moves(world.fleet, Wish.ABORT)
    await run(world.fleet)
    await world.play()
    await world.check({Phase.ABORTED})
    assert await world.switched() == 0


@pytest.mark.parametrize("point", SWITCHING, ids=str)
async def test_what_was_switched_stays_when_the_rest_is_taken_back(world: World, point: Point) -> None:
    await world.kill_mover(point)
    await steer_moves(world.fleet, Wish.ABORT)
    await run(world.fleet)
    await world.play()
    await world.check({Phase.ABORTED})
    assert await world.switched() in ({8} if point.when == "after" else {0, 8})


@pytest.mark.parametrize("point", ABORTING, ids=str)
async def test_taking_back_is_finished_by_the_next_mover(world: World, point: Point) -> None:
    await world.kill_mover(Point("after", "switch", "freeze_buckets"))
    await steer_moves(world.fleet, Wish.ABORT)
    await world.kill_mover(point)
    await run(world.fleet)
    await world.play()
    await world.check({Phase.ABORTED})
    assert await world.switched() == 0
