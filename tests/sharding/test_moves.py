"""Buckets that change hands under traffic, by the functions that a mover uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from db.ownership import thaw_buckets
from db.players import read_players
from db.postgres import Postgres
from db.scores import Outcomes
from domain.errors import Unavailable
from domain.standing import Player
from infra.local.cluster import LocalCluster
from sharding.placement import bucket_of
from sharding.router import Router
from tests.factories import make_submission, users_of_shard
from tests.sharding.routers import (
    drop_rows,
    freeze,
    hand_over,
    history_of,
    opened_direct,
    opened_router,
    owned_by,
    switch,
    tell,
    totals,
)
from tests.waiting import until

MOVING = users_of_shard(1, 3)
BUCKETS = [bucket_of(user) for user in MOVING]
NEIGHBOURS = [user for number in (1, 2, 3, 4) for user in users_of_shard(number, 6)[3:]]


@asynccontextmanager
async def kept_fresh(router: Router) -> AsyncIterator[None]:
    """The router refreshes by itself, as in an API process."""
    task = asyncio.create_task(router.keep_fresh(0.02))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Routers claim nothing; which targets they would have told."""
    told: list[str] = []

    async def claim(postgres: Postgres, _: Mapping[int, int]) -> None:
        told.append(postgres.name)

    monkeypatch.setattr("sharding.members.claim_buckets", claim)
    return told


def _require_shed(error: Unavailable) -> None:
    """What starved cores cannot take is refused, and not recorded; any other failure is one of the switch."""
    if "more work waiting" not in str(error):
        raise error


async def test_nobody_notices_a_switch_but_by_a_short_wait(shards: LocalCluster, router: Router) -> None:
    async with opened_router(shards) as other:
        stop = asyncio.Event()
        recorded = dict.fromkeys([*MOVING, *NEIGHBOURS], 0)

        async def write(through: Router, user: int) -> None:
            while not stop.is_set():
                try:
                    assert (await through.record(make_submission(user, 1))).outcome == "recorded"
                except Unavailable as error:
                    _require_shed(error)
                    await asyncio.sleep(0.01)
                else:
                    recorded[user] += 1

        async def write_many() -> None:
            while not stop.is_set():
                answers = await router.record_all([make_submission(user, 1) for user in recorded])
                for user, answer in zip(recorded, answers, strict=True):
                    if isinstance(answer, Unavailable):
                        _require_shed(answer)
                    else:
                        assert isinstance(answer, Outcomes)
                        assert answer.outcome == "recorded"
                        recorded[user] += 1
                await asyncio.sleep(0)

        async def read() -> None:
            seen = 0
            while not stop.is_set():
                found = await router.scatter_keys([*MOVING, *NEIGHBOURS], read_players)
                assert {type(answer) for answer in found.values()} == {Player}
                games = (await history_of(other, MOVING[0]))[1]
                assert games >= seen
                seen = games

        await asyncio.gather(*(router.record(make_submission(user, 0)) for user in recorded))
        traffic = [
            *(asyncio.create_task(write(through, user)) for user in recorded for through in (router, other)),
            asyncio.create_task(write_many()),
            asyncio.create_task(read()),
        ]
        try:
            source, target, third = shards.shards[:3]
            for here, there in [(source, target), (target, third), (third, source)] * 2:
                before = dict(recorded)
                await until(lambda before=before: all(recorded[u] > before[u] + 2 for u in MOVING))  # type: ignore[misc]
                await switch(here, there, BUCKETS)
        finally:
            stop.set()
            await asyncio.gather(*traffic)
    assert await totals(shards) == {user: (count, count + 1) for user, count in recorded.items()}


async def test_who_writes_to_a_frozen_bucket_waits_and_reads_go_on(shards: LocalCluster, router: Router) -> None:
    user = MOVING[0]
    await router.record(make_submission(user, 1))
    async with opened_direct(shards.shards[0]) as (source,):
        await freeze(source, BUCKETS)
        waiting = asyncio.create_task(router.record(make_submission(user, 10)))
        assert await history_of(router, user) == ([1], 1)
        assert not waiting.done()
        await thaw_buckets(source, BUCKETS)
    assert (await waiting).total == 11


async def test_between_release_and_claim_all_wait_and_succeed(
    shards: LocalCluster, router: Router, claims: list[str]
) -> None:
    source, target = shards.shards[:2]
    user = MOVING[0]
    await router.record(make_submission(user, 1))
    epochs = await hand_over(source, target, BUCKETS)
    await drop_rows(source, BUCKETS)
    waiting = (
        asyncio.create_task(router.record(make_submission(user, 10))),
        asyncio.create_task(history_of(router, user)),
        asyncio.create_task(router.scatter_keys([user], read_players)),
    )
    # Everybody asked, was refused by both shards, and looked at the map again.
    await until(lambda: len(claims) > 3)
    assert set(claims) == {target.name}
    assert [task.done() for task in waiting] == [False] * 3
    await tell(target, epochs)
    recorded, history, found = await asyncio.gather(*waiting)
    assert (recorded.total, recorded.games) == (11, 2)
    assert history in [([1], 1), ([10, 1], 2)]
    assert isinstance(found[user], Player)
    assert await totals(shards) == {user: (11, 2)}


async def test_a_bucket_that_nobody_claims_is_given_up_in_time(
    shards: LocalCluster, router: Router, claims: list[str]
) -> None:
    source, target = shards.shards[:2]
    await hand_over(source, target, BUCKETS)
    with pytest.raises(Unavailable, match=f"The data of player {MOVING[0]} is being moved"):
        await router.record(make_submission(MOVING[0], 10))
    assert await totals(shards) == {}


async def test_a_switch_whose_mover_died_is_ended_by_the_next_request(shards: LocalCluster, router: Router) -> None:
    source, target = shards.shards[:2]
    await router.record(make_submission(MOVING[0], 1))
    await hand_over(source, target, BUCKETS)
    await drop_rows(source, BUCKETS)
    assert (await router.record(make_submission(MOVING[0], 10))).total == 11
    assert [await owned_by(target, bucket) for bucket in BUCKETS] == [True] * 3
    assert router.map.epochs[BUCKETS[0]] == 2
    assert router.owned() == {"shard1": 1021, "shard2": 1027, "shard3": 1024, "shard4": 1024}


async def test_a_switch_whose_mover_died_is_ended_without_traffic(shards: LocalCluster, router: Router) -> None:
    source, target = shards.shards[:2]
    async with kept_fresh(router):
        await hand_over(source, target, BUCKETS)
        await until(lambda: owned_by(target, BUCKETS[0]))
