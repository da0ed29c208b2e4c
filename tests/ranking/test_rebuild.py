from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from ranking.keys import BoardKeys
from ranking.marks import Marks
from ranking.projection import Projection
from ranking.rebuild import Rebuild, RebuildLost
from ranking.store import RanksUnavailable, Store
from tests.factories import make_row
from tests.ranking import plain


async def begun(store: Store, keys: BoardKeys) -> Rebuild:
    rebuild = await Rebuild.begin(store, keys)
    assert rebuild is not None
    return rebuild


async def test_readers_see_the_old_board_or_the_new_and_never_a_half_one(
    store: Store, keys: BoardKeys, projection: Projection
) -> None:
    old = [make_row(user_id, 1) for user_id in range(500)]
    new = [make_row(user_id, 2, revision=2) for user_id in range(700)]
    await projection.apply_all(old)
    seen: set[tuple[int, int]] = set()
    reading = True

    async def read() -> None:
        while reading:
            page = await projection.page(100, None)
            seen.add((page.total_count, page.standings[0].total_score))
            standing = await projection.standing(3)
            assert standing is not None
            assert standing.rank == 1

    task = asyncio.create_task(read())
    rebuild = await begun(store, keys)
    for start in range(0, 700, 50):
        await rebuild.add(new[start : start + 50])
    assert seen == {(500, 1)}
    await rebuild.finish({"a": 5})
    page = await projection.page(100, None)
    assert (page.total_count, page.standings[0].total_score) == (700, 2)
    reading = False
    await task
    assert seen <= {(500, 1), (700, 2)}
    assert await Marks(store, keys).read("a") == "5"


async def test_an_empty_redis_tells_nothing_until_the_first_build_is_whole(store: Store, keys: BoardKeys) -> None:
    projection, marks = Projection(store, keys.board), Marks(store, keys)
    rebuild = await begun(store, keys)
    await rebuild.add([make_row(1, 10)])
    assert not await marks.ready()
    with pytest.raises(RanksUnavailable):
        await projection.standing(1)
    await rebuild.finish({})
    assert await marks.ready()
    standing = await projection.standing(1)
    assert standing is not None
    assert standing.rank == 1


async def test_what_changes_meanwhile_is_in_the_new_board(store: Store, keys: BoardKeys) -> None:
    projection = Projection(store, keys.board)
    rebuild = await begun(store, keys)
    await rebuild.add([make_row(1, 10, revision=3)])
    # Of player 1 a newer row, of player 2 one that the scan finds later as it was before, of player 3 the only one.
    for row in (make_row(1, 5, revision=4), make_row(2, 99, revision=8), make_row(3, 1)):
        with pytest.raises(RanksUnavailable):
            await projection.apply(row, row.user_id, row.total_score)
    await rebuild.add([make_row(2, 7, revision=7)])
    await rebuild.finish({})
    page = await projection.page(10, None)
    assert [(s.user_id, s.total_score, s.rank) for s in page.standings] == [(2, 99, 1), (1, 5, 2), (3, 1, 3)]


async def test_what_changes_meanwhile_is_in_the_old_board_too(
    store: Store, keys: BoardKeys, projection: Projection
) -> None:
    await projection.apply_all([make_row(1, 10)])
    rebuild = await begun(store, keys)
    changed = make_row(1, 20, revision=2)
    await projection.apply(changed, 1, 20)
    assert (await projection.page(1, None)).standings == plain.standings([changed])
    await rebuild.finish({})
    assert (await projection.page(1, None)).standings == plain.standings([changed])


async def test_players_that_are_no_more_are_gone(store: Store, keys: BoardKeys, projection: Projection) -> None:
    await projection.apply_all([make_row(1, 10), make_row(2, 20)])
    rebuild = await begun(store, keys)
    await rebuild.add([make_row(1, 10)])
    await rebuild.finish({})
    assert plain.user_ids((await projection.page(10, None)).standings) == [1]


async def test_a_board_may_become_empty(store: Store, keys: BoardKeys, projection: Projection) -> None:
    await projection.apply_all([make_row(1, 10)])
    await (await begun(store, keys)).finish({})
    assert (await projection.page(10, None)).total_count == 0


async def test_only_one_builds_at_a_time(store: Store, keys: BoardKeys) -> None:
    first = await begun(store, keys)
    assert await Rebuild.begin(store, keys) is None
    await first.give_up()
    second = await begun(store, keys)
    # Who was given up can neither add nor finish.
    with pytest.raises(RebuildLost):
        await first.add([make_row(1, 1)])
    with pytest.raises(RebuildLost):
        await first.finish({})
    await first.give_up()
    await second.add([make_row(2, 1)])
    await second.finish({})
    assert plain.user_ids((await Projection(store, keys.board).page(10, None)).standings) == [2]


async def test_what_a_dead_build_left_is_not_in_the_next(store: Store, keys: BoardKeys, redis: Redis) -> None:
    dead = await begun(store, keys)
    await dead.add([make_row(1, 1)])
    await redis.delete(keys.building)  # as when its time runs out
    alive = await begun(store, keys)
    await alive.add([make_row(2, 2)])
    await alive.finish({})
    assert plain.user_ids((await Projection(store, keys.board).page(10, None)).standings) == [2]


async def test_a_redis_that_lost_a_step_ends_the_build(store: Store, keys: BoardKeys, redis: Redis) -> None:
    rebuild = await begun(store, keys)
    await rebuild.add([make_row(1, 1)])
    kept = {key: await redis.dump(key) for key in (keys.building, keys.ranks_next, keys.rows_next)}
    await rebuild.add([make_row(2, 2)])
    # It restarts from what it had written a step before.
    for key, value in kept.items():
        assert value is not None
        await redis.restore(key, 0, value, replace=True)
    with pytest.raises(RebuildLost):
        await rebuild.add([make_row(3, 3)])
    with pytest.raises(RebuildLost):
        await rebuild.finish({})
    assert not await Marks(store, keys).ready()


async def test_a_redis_that_lost_all_ends_the_build(store: Store, keys: BoardKeys, redis: Redis) -> None:
    rebuild = await begun(store, keys)
    await rebuild.add([make_row(1, 1)])
    await redis.flushall()
    with pytest.raises(RebuildLost):
        await rebuild.finish({})
    assert await redis.keys() == []
