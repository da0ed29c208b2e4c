from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from ranking.keys import BoardKeys
from ranking.marks import Marks
from ranking.projection import Projection
from ranking.store import Store
from tests.factories import make_row
from tests.waiting import until


@pytest.fixture
def marks(store: Store, keys: BoardKeys, projection: Projection) -> Marks:
    return Marks(store, keys)


async def test_a_new_shard_begins_at_nothing(marks: Marks) -> None:
    assert await marks.read("new") == "0"


async def test_the_mark_moves_only_when_nothing_is_missing(marks: Marks, projection: Projection) -> None:
    await projection.apply_all([make_row(1, 10, revision=3), make_row(-2, 10, revision=1)])
    seen = [(1, 3), (-2, 2), (5, 1), (1, 2)]
    assert await marks.behind("a", seen, expected="0", following="9") == [1, 2]
    assert await marks.read("a") == "0"
    await projection.apply_all([make_row(-2, 11, revision=2), make_row(5, 1, revision=7)])
    assert await marks.behind("a", seen, expected="0", following="9") == []
    assert await marks.read("a") == "9"
    assert await marks.read("b") == "0"


async def test_no_change_moves_the_mark_too(marks: Marks) -> None:
    assert await marks.behind("a", [], expected="0", following="12") == []
    assert await marks.read("a") == "12"


async def test_another_mark_than_expected_ends_the_pass(marks: Marks) -> None:
    await marks.behind("a", [], expected="0", following="12")
    assert await marks.behind("a", [], expected="0", following="13") is None
    assert await marks.behind("a", [], expected="11", following="13") is None
    assert await marks.read("a") == "12"


async def test_writes_lost_in_the_middle_of_a_pass_are_noticed(
    marks: Marks, projection: Projection, redis: Redis, keys: BoardKeys
) -> None:
    await marks.behind("a", [], expected="0", following="5")
    kept = {key: await redis.dump(key) for key in (keys.ranks, keys.rows, keys.marks, keys.ready)}
    await projection.apply_all([make_row(1, 10)])
    assert await marks.behind("a", [(1, 1)], expected="5", following="5/x.1") == []
    # It restarts from what it had before the row was written, which takes the step back as well.
    await redis.flushall()
    for key, value in kept.items():
        if value is not None:
            await redis.restore(key, 0, value)
    assert await marks.behind("a", [(2, 1)], expected="5/x.1", following="9") is None
    assert await marks.read("a") == "5"
    assert await marks.behind("a", [(1, 1)], expected="5", following="9") == [0]


async def test_all_lost_in_the_middle_of_a_pass_is_noticed(marks: Marks, redis: Redis) -> None:
    await marks.behind("a", [], expected="0", following="5")
    await redis.flushall()
    assert not await marks.ready()
    assert await marks.behind("a", [], expected="5", following="9") is None
    assert await marks.behind("a", [], expected="0", following="9") is None
    assert await redis.keys() == []


async def test_one_relay_at_a_time_looks_after_a_shard(marks: Marks) -> None:
    assert await marks.lease("shard1", "one", 10_000)
    assert not await marks.lease("shard1", "other", 10_000)
    assert await marks.lease("shard1", "one", 10_000)
    assert await marks.lease("shard2", "other", 10_000)


async def test_a_relay_that_died_is_followed_by_another(marks: Marks) -> None:
    assert await marks.lease("shard1", "dead", 100)
    await until(lambda: marks.lease("shard1", "next", 10_000), seconds_max=5.0)
    assert not await marks.lease("shard1", "dead", 100)


async def test_thousands_of_rows_are_compared_at_once(marks: Marks, projection: Projection) -> None:
    await projection.apply_all(make_row(user_id, 0, revision=5) for user_id in range(0, 5_000, 2))
    behind = await marks.behind("a", [(u, 5) for u in range(5_000)], expected="0", following="1")
    assert behind == list(range(1, 5_000, 2))
    await asyncio.gather(*(projection.apply(make_row(u, 0, revision=6), u, 0) for u in range(1, 5_000, 2)))
    assert await marks.behind("a", [(u, 5) for u in range(5_000)], expected="0", following="1") == []
