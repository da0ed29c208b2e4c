"""Limits that hold over all processes, and for each alone while Redis is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from domain.access import Caller
from domain.errors import RateLimited
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from ranking.store import Store
from service.rate_limits import Allowance, RateLimits

PLAYER = Caller("player", "player:1", submissions_per_minute=5, reads_per_minute=3)
OTHER = Caller("player", "player:2", submissions_per_minute=5)
SERVER = Caller("key", "key:server")
NOWHERE = f"redis://127.0.0.1:{find_free_port(set())}/0"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[RateLimits]:
    store = Store(url, timeout_s=1.0)
    try:
        yield RateLimits(store)
    finally:
        await store.close()


@pytest.fixture(params=["with Redis", "without Redis"])
async def limits(request: pytest.FixtureRequest, clean: LocalCluster) -> AsyncIterator[RateLimits]:
    async with opened(clean.redis_url if request.param == "with Redis" else NOWHERE) as limits:
        yield limits


async def test_so_many_a_minute_and_no_more(limits: RateLimits) -> None:
    left = [await limits.take(PLAYER, "submissions") for _ in range(5)]
    assert [each.remaining for each in left if each] == [4, 3, 2, 1, 0]
    assert {each.limit for each in left if each} == {5}
    with pytest.raises(RateLimited, match=r"A player may send 5 submissions a minute; try again in \d+ s\.") as refusal:
        await limits.take(PLAYER, "submissions")
    assert 1 <= refusal.value.retry_after_s <= 60
    assert refusal.value.limit == 5
    # Reads and other callers are counted by themselves.
    assert (await limits.take(PLAYER, "reads") or Allowance(0, 0, 0)).remaining == 2
    assert (await limits.take(OTHER, "submissions") or Allowance(0, 0, 0)).remaining == 4


async def test_what_does_not_fit_whole_is_not_counted_at_all(limits: RateLimits) -> None:
    await limits.take(PLAYER, "submissions", 3)
    with pytest.raises(RateLimited, match="try again in"):
        await limits.take(PLAYER, "submissions", 3)
    assert await limits.remaining(PLAYER, "submissions") == 2
    with pytest.raises(RateLimited, match="this request alone has 6, so it can never pass; send fewer at once"):
        await limits.take(PLAYER, "submissions", 6)
    assert (await limits.take(PLAYER, "submissions", 2) or Allowance(1, 1, 1)).remaining == 0


async def test_of_a_bulk_as_many_as_there_are_left(limits: RateLimits) -> None:
    assert await limits.take_up_to(PLAYER, "submissions", 2) == (2, None)
    taken, refusal = await limits.take_up_to(PLAYER, "submissions", 1000)
    assert taken == 3
    assert refusal is not None
    assert refusal.limit == 5
    taken, refusal = await limits.take_up_to(PLAYER, "submissions", 1)
    assert (taken, type(refusal)) == (0, RateLimited)
    assert await limits.take_up_to(PLAYER, "submissions", 0) == (0, None)


async def test_nothing_is_counted_of_who_has_no_limit(clean: LocalCluster) -> None:
    async with opened(clean.redis_url) as limits, Redis.from_url(clean.redis_url) as redis:
        assert await limits.take(SERVER, "submissions", 10_000) is None
        assert await limits.take(PLAYER, "reads", 0) is None
        assert await redis.keys("shardboard:limits*") == []
        await limits.take(PLAYER, "reads")
        assert len(await redis.keys("shardboard:limits*")) == 1
        # Nothing of it stays for good.
        assert all([0 < await redis.ttl(key) <= 120 for key in await redis.keys("shardboard:limits*")])


async def test_the_limit_holds_over_all_processes(clean: LocalCluster) -> None:
    async with opened(clean.redis_url) as one, opened(clean.redis_url) as other:

        async def ask(limits: RateLimits) -> bool:
            try:
                await limits.take(PLAYER, "submissions")
            except RateLimited:
                return False
            return True

        answers = await asyncio.gather(*(ask(limits) for limits in [one, other] * 20))
        assert sum(answers) == 5


async def test_a_flood_of_who_is_refused_does_not_reach_redis(
    clean: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(clean.redis_url) as limits, Redis.from_url(clean.redis_url) as redis:
        await limits.take(PLAYER, "submissions", 5)
        with pytest.raises(RateLimited):
            await limits.take(PLAYER, "submissions")

        async def commands() -> int:
            return int((await redis.info("commandstats"))["cmdstat_evalsha"]["calls"])

        before = await commands()
        for _ in range(100):
            with pytest.raises(RateLimited):
                await limits.take(PLAYER, "submissions")
        assert await commands() == before
        # Once the time that it was told has passed, it is asked again.
        monkeypatch.setattr("service.rate_limits.time.monotonic", lambda: 1e12)
        with pytest.raises(RateLimited):
            await limits.take(PLAYER, "submissions")
        assert await commands() > before
