"""The number of a board's state: one more a change, and never lower than what was told before."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from redis.asyncio import Redis

from domain.standing import Top
from domain.submission import SCORE_MAX
from infra.local.cluster import LocalCluster
from ranking.keys import BoardKeys
from ranking.projection import Projection
from ranking.rebuild import Rebuild
from ranking.store import RanksUnavailable, Store
from tests.factories import make_row
from tests.ranking import plain


async def top_of(projection: Projection, first: int = 10, known: int = 0) -> Top:
    top = await projection.top(first, known, at_hand=False)
    assert top is not None
    return top


async def rebuild(store: Store, keys: BoardKeys, total: int) -> None:
    building = await Rebuild.begin(store, keys)
    assert building is not None
    await building.add([make_row(1, total)])
    await building.finish({})


def now_us() -> int:
    return time.time_ns() // 1_000


@pytest.mark.parametrize("first", [1, 7, 100])
async def test_it_is_the_first_page(projection: Projection, first: int) -> None:
    dice = random.Random(first)
    rows = [make_row(user_id, dice.choice([-SCORE_MAX, SCORE_MAX, *range(-4, 5)])) for user_id in range(-60, 60)]
    await projection.apply_all(rows)
    top = await top_of(projection, first)
    assert top.board == "global"
    assert top.entries == plain.standings(rows)[:first]


async def test_an_empty_board_has_a_number_too(projection: Projection) -> None:
    before = now_us()
    top = await top_of(projection)
    assert top.entries == []
    assert before <= top.sequence <= now_us() < SCORE_MAX


async def test_a_batch_that_changes_something_counts_one(projection: Projection) -> None:
    first = (await top_of(projection)).sequence
    await projection.apply_all([make_row(1, 10), make_row(2, 20)])
    assert (await top_of(projection)).sequence == first + 1
    # Nothing newer in it, or no row at all.
    await projection.apply_all([make_row(1, 99), make_row(2, 20)])
    await projection.apply(None, 1, 10)
    assert (await top_of(projection)).sequence == first + 1
    # The same total under another name.
    await projection.apply(make_row(2, 20, revision=2, username="Ada"), 2, 20)
    top = await top_of(projection)
    assert (top.sequence, top.entries[0].username) == (first + 2, "Ada")


async def test_who_has_the_newest_is_not_told_again(projection: Projection) -> None:
    await projection.apply_all([make_row(1, 10)])
    top = await top_of(projection)
    assert await projection.top(10, top.sequence, at_hand=True) is None
    again = await projection.top(10, top.sequence, at_hand=False)
    assert again is not None
    assert (again.sequence, again.entries) == (top.sequence, top.entries)
    await projection.apply_all([make_row(2, 20)])
    newer = await projection.top(10, top.sequence, at_hand=True)
    assert newer is not None
    assert newer.sequence == top.sequence + 1


async def test_readers_at_the_same_time_are_told_the_same(projection: Projection, store: Store) -> None:
    others = [Projection(store, "global") for _ in range(20)]
    tops = await asyncio.gather(*(top_of(other) for other in [projection, *others]))
    assert len({top.sequence for top in tops}) == 1


async def test_a_rebuild_is_another_state(projection: Projection, store: Store, keys: BoardKeys) -> None:
    await projection.apply_all([make_row(1, 10)])
    before = await top_of(projection)
    await rebuild(store, keys, 11)
    after = await top_of(projection)
    assert after.sequence > before.sequence
    assert (await top_of(projection)).sequence == after.sequence


async def test_a_redis_that_lost_everything_goes_on_above(
    projection: Projection, store: Store, redis: Redis, keys: BoardKeys
) -> None:
    await projection.apply_all([make_row(1, 10)])
    before = await top_of(projection)
    await redis.flushall()
    with pytest.raises(RanksUnavailable):
        await projection.top(10, before.sequence, at_hand=True)
    assert await redis.keys() == []
    await rebuild(store, keys, 10)
    # Changes before the first read count from nothing.
    await projection.apply_all([make_row(2, 20)])
    after = await top_of(projection)
    assert after.sequence > before.sequence


async def test_a_lower_number_than_one_known_is_lifted_for_all(projection: Projection, redis: Redis) -> None:
    await projection.apply_all([make_row(1, 10)])
    ahead = now_us() + 3_600_000_000
    top = await projection.top(10, ahead, at_hand=True)
    assert top is not None
    assert top.sequence == ahead + 1
    # Who knows less is told the same.
    assert (await top_of(projection)).sequence == ahead + 1


async def test_a_server_that_started_anew_tells_no_number_twice(
    cluster: LocalCluster, projection: Projection, redis: Redis, keys: BoardKeys
) -> None:
    """It lost its last change, and went on counting: the number that it would give stood for another state."""
    await projection.apply_all([make_row(1, 10)])
    (older,) = await redis.hmget(keys.version, "sequence")
    assert isinstance(older, bytes)
    await projection.apply_all([make_row(2, 20)])
    told = await top_of(projection)
    child = cluster.child("valkey")
    await redis.connection_pool.disconnect()
    await child.stop()
    await child.start()
    await redis.hset(keys.version, "sequence", older.decode())
    await projection.apply_all([make_row(3, 30)])
    assert (await top_of(projection)).sequence > told.sequence


async def test_where_info_is_forbidden_known_numbers_still_tell(
    cluster: LocalCluster, projection: Projection, redis: Redis
) -> None:
    await projection.apply_all([make_row(1, 10)])
    first = await top_of(projection)
    await redis.acl_setuser("modest", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-info"])
    address = cluster.redis_url.rpartition("@")[2]
    store = Store(f"redis://modest:secret@{address}", timeout_s=2.0)
    try:
        modest = Projection(store, "global")
        top = await top_of(modest, known=first.sequence)
        assert top.sequence > first.sequence
        assert await modest.top(10, top.sequence, at_hand=True) is None
        lifted = await modest.top(10, top.sequence + 2**40, at_hand=True)
        assert lifted is not None
        assert lifted.sequence == top.sequence + 2**40 + 1
    finally:
        await store.close()
        await redis.acl_deluser("modest")
