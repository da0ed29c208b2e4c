from __future__ import annotations

import asyncio
import time

import pytest

from db.players import read_players
from domain.errors import MapError, Unavailable
from domain.standing import Player
from infra.local.cluster import LocalCluster
from sharding.placement import bucket_of
from sharding.router import Router
from tests.db.shards import connected
from tests.factories import make_submission, users_of_shard
from tests.sharding.routers import history_of, move_bucket, opened_router, set_state, totals
from tests.waiting import until

MOVING = users_of_shard(1, 1)[0]
BUCKET = bucket_of(MOVING)
NEIGHBOURS = [user for number in (1, 2, 3, 4) for user in users_of_shard(number, 3) if bucket_of(user) != BUCKET]


async def test_every_submission_reaches_the_shard_of_its_player(shards: LocalCluster, router: Router) -> None:
    users = [*range(-50, 50), -(2**63), 2**63 - 1]
    outcomes = await asyncio.gather(*(router.record(make_submission(user, 3)) for user in users))
    assert [(o.outcome, o.total, o.games) for o in outcomes] == [("recorded", 3, 1)] * len(users)
    assert await totals(shards) == dict.fromkeys(users, (3, 1))
    assert router.owned() == {"shard1": 1024, "shard2": 1024, "shard3": 1024, "shard4": 1024}
    for shard, low in zip(shards.shards, (0, 1024, 2048, 3072), strict=True):
        async with connected(shard.direct_url) as connection:
            buckets = [row[0] for row in await connection.fetch("select bucket from leaderboard")]
        assert all(low <= bucket < low + 1024 for bucket in buckets)


@pytest.mark.usefixtures("patient_queues")
async def test_writes_and_reads_follow_a_bucket_that_moves(shards: LocalCluster, router: Router) -> None:
    async with opened_router(shards) as other:
        stop = asyncio.Event()
        recorded = dict.fromkeys([MOVING, *NEIGHBOURS], 0)

        async def write(through: Router, user: int) -> None:
            while not stop.is_set():
                outcomes = await through.record(make_submission(user, 1))
                assert outcomes.outcome == "recorded"
                recorded[user] += 1

        async def read() -> None:
            seen = 0
            while not stop.is_set():
                games = (await history_of(router, MOVING))[1]
                assert games >= seen
                seen = games

        async def load() -> None:
            while not stop.is_set():
                found = await router.scatter_keys([MOVING, *NEIGHBOURS], read_players)
                assert not [answer for answer in found.values() if isinstance(answer, Unavailable)]

        await asyncio.gather(*(router.record(make_submission(user, 0)) for user in recorded))
        traffic = [
            *(asyncio.create_task(write(through, user)) for user in recorded for through in (router, other)),
            asyncio.create_task(read()),
            asyncio.create_task(load()),
        ]
        try:
            source, target, third = (shard.direct_url for shard in shards.shards[:3])
            for epoch, (here, there) in enumerate([(source, target), (target, third), (third, source)], start=2):
                before = recorded[MOVING]
                await until(lambda before=before: recorded[MOVING] > before + 5)  # type: ignore[misc]
                await move_bucket(here, there, BUCKET, epoch)
            before = recorded[MOVING]
            await until(lambda: recorded[MOVING] > before + 5)
        finally:
            stop.set()
            await asyncio.gather(*traffic)
    assert await totals(shards) == {user: (count, count + 1) for user, count in recorded.items()}


async def test_a_frozen_bucket_waits_and_then_goes_on(shards: LocalCluster, router: Router) -> None:
    url = shards.shards[0].direct_url
    await router.record(make_submission(MOVING, 1))
    await set_state(url, BUCKET, "frozen")
    waiting = asyncio.create_task(router.record(make_submission(MOVING, 10)))
    # Neighbours on the same shard do not wait, and what is frozen can be read.
    neighbour = next(user for user in NEIGHBOURS if user in users_of_shard(1, 3))
    assert (await router.record(make_submission(neighbour, 5))).outcome == "recorded"
    assert await history_of(router, MOVING) == ([1], 1)
    assert not waiting.done()
    await set_state(url, BUCKET, "owned")
    async with asyncio.timeout(5):
        assert (await waiting).total == 11
    assert await totals(shards) == {MOVING: (11, 2), neighbour: (5, 1)}


async def test_a_bucket_that_stays_frozen_is_given_up_in_time(shards: LocalCluster, router: Router) -> None:
    await set_state(shards.shards[0].direct_url, BUCKET, "frozen")
    started = time.monotonic()
    with pytest.raises(Unavailable, match=f"The data of player {MOVING} is being moved; try again with the same"):
        await router.record(make_submission(MOVING, 10))
    assert time.monotonic() - started < 5.0
    assert await totals(shards) == {}


async def test_a_router_opened_on_a_map_with_a_hole_refuses_to_start(shards: LocalCluster) -> None:
    async with connected(shards.shards[0].direct_url) as connection:
        await connection.execute("delete from bucket_owner where bucket = 7")
    with pytest.raises(MapError, match="1 of 4096 buckets have no owner, the first is 7"):
        async with opened_router(shards):
            raise AssertionError("opened")


async def test_a_router_opened_on_two_owners_refuses_to_start(shards: LocalCluster) -> None:
    async with connected(shards.shards[1].direct_url) as connection:
        await connection.execute("insert into bucket_owner values (7, 'owned', 1)")
    with pytest.raises(MapError, match="the first is 7: shard1 and shard2"):
        async with opened_router(shards):
            raise AssertionError("opened")


async def test_players_of_a_page_are_asked_for_once_a_shard(shards: LocalCluster, router: Router) -> None:
    users = [user for number in (1, 2, 3) for user in users_of_shard(number, 20)]
    submissions = [make_submission(user, 1) for user in users]
    await asyncio.gather(*(router.record(submission) for submission in submissions))
    asked: list[tuple[str, int]] = []

    async def read(postgres, keys):  # type: ignore[no-untyped-def]
        asked.append((postgres.name, len(keys)))
        return await read_players(postgres, keys)

    absent = users_of_shard(3, 21)[-1]
    found = await router.scatter_keys([*users, absent, *users], read)
    assert sorted(asked) == [("shard1", 20), ("shard2", 20), ("shard3", 21)]
    assert set(found) == set(users)
    assert {player.username for player in found.values() if isinstance(player, Player)} == {
        f"player {user}" for user in users
    }
