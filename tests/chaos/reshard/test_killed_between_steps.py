"""A mover killed at any step leaves one owner of each bucket, players who go on, and work that another one finishes."""

from __future__ import annotations

import pytest

from domain.move import Phase, Wish
from service.steer_moves import steer_moves
from tests.chaos.reshard.doomed_mover import Point
from tests.chaos.reshard.world import BUCKETS, World
from tests.sharding.reshard.fleets import run

# Each of these leaves something else behind than its neighbours do.
COPYING = [
    Point("before", "mover", "enter_phase"),
    Point("after", "mover", "enter_phase"),
    Point("after", "wiring", "ensure_publications"),
    Point("amid", "wiring", "ensure_slot"),
    Point("after", "wiring", "ensure_slot"),
    Point("amid", "wiring", "ensure_subscription"),
    Point("after", "wiring", "ensure_subscription"),
    Point("before", "mover", "enter_phase", 2),
]
FOLLOWING = [
    Point("after", "mover", "enter_phase", 2),
    Point("after", "compare", "digest_buckets"),
    Point("amid", "switch", "freeze_buckets"),
    Point("after", "switch", "freeze_buckets"),
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
    Point("amid", "wiring", "drop_subscription"),
    Point("after", "wiring", "drop_subscription"),
    Point("amid", "wiring", "drop_slot"),
    Point("after", "wiring", "drop_slot"),
    Point("after", "wiring", "drop_publications"),
    Point("after", "mover", "enter_phase", 3),
    Point("amid", "wiring", "delete_players_of"),
    Point("after", "wiring", "delete_players_of"),
]
TAKEN_BACK = [
    Point("after", "wiring", "ensure_publications"),
    Point("after", "wiring", "ensure_slot"),
    Point("amid", "wiring", "ensure_subscription"),
    Point("after", "mover", "enter_phase", 2),
    Point("after", "switch", "freeze_buckets"),
]
ABORTING = [
    Point("after", "mover", "enter_phase"),
    Point("amid", "wiring", "drop_subscription"),
    Point("after", "wiring", "drop_slot"),
    Point("after", "wiring", "drop_publications"),
    Point("amid", "wiring", "delete_players_of"),
    Point("after", "wiring", "delete_orphans_of"),
]


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


@pytest.mark.parametrize("point", SWITCHING[:4], ids=str)
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
