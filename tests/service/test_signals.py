"""A change in one process reaches the others at once."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from infra.local.cluster import LocalCluster
from ranking.keys import CHANGES_CHANNEL
from service.parts import Parts
from service.submit import submit_score
from tests.factories import make_submission, opened_parts
from tests.waiting import until


async def listeners(cluster: LocalCluster) -> int:
    async with Redis.from_url(cluster.redis_url) as redis:
        ((_, count),) = await redis.pubsub_numsub(CHANGES_CHANNEL)
    return int(count)


async def test_a_change_reaches_another_process(ready: LocalCluster, parts: Parts) -> None:
    async with opened_parts(ready) as other:
        await until(lambda: _hear(ready, 2))
        for user in range(5):
            ours, theirs = parts.board_version("global"), other.board_version("global")
            await submit_score(parts, make_submission(user, 1))
            assert parts.board_version("global") > ours
            await until(lambda theirs=theirs: other.board_version("global") > theirs, seconds_max=2.0)  # type: ignore[misc]


async def _hear(cluster: LocalCluster, count: int) -> bool:
    return await listeners(cluster) == count


async def test_what_the_relay_carries_over_is_a_change_too(ready: LocalCluster, parts: Parts) -> None:
    async with opened_parts(ready) as other:
        await until(lambda: _hear(ready, 2))
        ours, theirs = parts.board_version("global"), other.board_version("global")
        await parts.router.record(make_submission(7, 1))
        await until(lambda: parts.board_version("global") > ours and other.board_version("global") > theirs)


async def test_a_bulk_of_changes_is_told_in_few_messages(ready: LocalCluster, parts: Parts) -> None:
    async with Redis.from_url(ready.redis_url) as redis, redis.pubsub() as pubsub:
        await pubsub.subscribe(CHANGES_CHANNEL)
        assert await pubsub.get_message(timeout=5) is not None
        await asyncio.gather(*(submit_score(parts, make_submission(user, 1)) for user in range(300)))
        last = await pubsub.get_message(timeout=5)
        assert last is not None
        assert last["data"].endswith(b" global")
        more = 0
        while await pubsub.get_message(timeout=0.5) is not None:
            more += 1
        assert more < 60


async def test_a_listener_that_was_away_takes_all_for_changed(ready: LocalCluster, parts: Parts) -> None:
    await until(lambda: _hear(ready, 1))
    await submit_score(parts, make_submission(7, 1))
    async with Redis.from_url(ready.redis_url) as redis:
        version = parts.board_version("global")
        assert await redis.client_kill_filter(_type="pubsub") == 1
    await until(lambda: parts.board_version("global") > version)
    await until(lambda: _hear(ready, 1))


async def test_who_asked_for_it_is_called_at_each_change_here_and_elsewhere(ready: LocalCluster, parts: Parts) -> None:
    calls: list[int] = []
    async with opened_parts(ready) as other:
        await until(lambda: _hear(ready, 2))
        with parts.signals.calling("global", lambda: calls.append(parts.board_version("global"))):
            before = parts.board_version("global")
            parts.signals.changed("global")
            assert calls == [before + 1]
            other.signals.changed("global")
            await until(lambda: calls == [before + 1, before + 2])
            parts.signals.changed("another")
            assert len(calls) == 2
            async with Redis.from_url(ready.redis_url) as redis:
                await redis.client_kill_filter(_type="pubsub")
            await until(lambda: len(calls) >= 3)
        count = len(calls)
        parts.signals.changed("global")
        assert len(calls) == count


async def _has_refused(redis: Redis) -> bool:
    return [entry["object"] for entry in await redis.acl_log()] == ["publish"]


async def test_who_has_lost_redis_alone_tells_the_others_afterwards(ready: LocalCluster, parts: Parts) -> None:
    head, _, address = ready.redis_url.rpartition("@")
    assert head.startswith("redis://:")
    async with Redis.from_url(ready.redis_url) as redis:
        await redis.acl_setuser(
            "mute", enabled=True, passwords=["+secret"], keys=["*"], channels=["*"], commands=["+@all", "-publish"]
        )
        try:
            async with opened_parts(ready, redis_url=f"redis://mute:secret@{address}") as mute:
                await until(lambda: _hear(ready, 2))
                version = parts.board_version("global")
                await redis.acl_log_reset()
                mute.signals.changed("global")
                await until(lambda: _has_refused(redis))
                assert parts.board_version("global") == version
                await redis.acl_setuser("mute", enabled=True, keys=["*"], channels=["*"], commands=["+publish"])
                await until(lambda: parts.board_version("global") > version, seconds_max=2.0)
        finally:
            await redis.acl_deluser("mute")


async def test_it_listens_again_when_redis_is_back(ready: LocalCluster, parts: Parts) -> None:
    async with opened_parts(ready) as other:
        child = ready.child("valkey")
        await child.stop(kill=True)
        await child.start()
        await until(lambda: _hear(ready, 2))
        version = other.board_version("global")
        await submit_score(parts, make_submission(7, 1))
        await until(lambda: other.board_version("global") > version, seconds_max=2.0)
