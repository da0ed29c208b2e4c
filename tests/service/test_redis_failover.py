"""A Redis whose master goes: Sentinels make its replica the master, and the service follows by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import SentinelConnectionPool, SentinelManagedSSLConnection

from domain.errors import OperatorError, Unavailable
from infra.local.cluster import LocalCluster
from infra.local.ports import HOST, find_free_port
from ranking.redis_address import close_redis, make_redis
from service.parts import Parts
from service.read_top import read_top
from service.submit import submit_score
from service.verify_ranks import verify_ranks
from tests.factories import make_submission, opened_parts
from tests.service.boards import board_of_shards, ranks_are_there
from tests.service.sentinels import PASSWORD, Watched, running_sentinels, valkey_child
from tests.service.watching import Seen, watching
from tests.waiting import until

PLAYERS = range(1, 17)


@pytest.fixture(scope="module")
async def worlds() -> AsyncIterator[dict[str, Watched]]:
    """A master and a replica for each of the tests in which the master goes."""
    async with running_sentinels("killed", "hangs", "relieved") as worlds:
        yield {world.name: world for world in worlds}


class Load:
    """Players who go on submitting, and what they were told."""

    def __init__(self, parts: Parts) -> None:
        self.totals = dict.fromkeys(PLAYERS, 0)
        self.longest_s = 0.0
        self.ranked_count = 0
        self.ends = False
        self._parts = parts

    async def go_on(self, user_id: int) -> None:
        while not self.ends:
            began_at = time.monotonic()
            try:
                recorded = await submit_score(self._parts, make_submission(user_id, user_id))
            except Unavailable as error:
                # Starved cores: the shard's queue is refused, which nothing of Redis does.
                if "more work waiting" not in str(error):
                    raise
                await asyncio.sleep(0.01)
                continue
            self.totals[user_id] += user_id
            assert recorded.standing.total_score == self.totals[user_id]
            self.longest_s = max(self.longest_s, time.monotonic() - began_at)
            self.ranked_count += recorded.standing.rank is not None
            await asyncio.sleep(0.01)

    async def more_ranked(self, how_many: int) -> None:
        """Wait until so many more were told a rank."""
        wanted = self.ranked_count + how_many
        await until(lambda: self.ranked_count >= wanted)


@asynccontextmanager
async def loaded(parts: Parts) -> AsyncIterator[Load]:
    load = Load(parts)
    players = [asyncio.create_task(load.go_on(user_id)) for user_id in PLAYERS]
    try:
        await load.more_ranked(50)
        yield load
    finally:
        load.ends = True
        await asyncio.gather(*players)


async def check_fail_over(cluster: LocalCluster, world: Watched, lose_master: Callable[[int], Awaitable[None]]) -> None:
    """Lose the master under load: all that was acknowledged counts, and everybody is shown it."""
    async with (
        opened_parts(cluster, redis_url=world.url) as parts,
        opened_parts(cluster, redis_url=world.url) as other,
    ):
        await until(lambda: ranks_are_there(parts))
        async with watching(other, 3) as seen:
            async with loaded(parts) as load:
                old = await world.master()
                await lose_master(old)
                await until(lambda: _is_other_master(world, old), 30)
                await until(lambda: ranks_are_there(other))
                shown = len(seen.tops)
                await load.more_ranked(100)
                await until(lambda: len(seen.tops) > shown + 2)
            # Nothing is asked of Redis for longer than its time-out, and then it is asked no more.
            assert load.longest_s < 2.5
            await until(lambda: _agrees(parts))
            await until(lambda: _shows_top(other, seen))
        assert {row.user_id: row.total_score for row in await board_of_shards(cluster)} == load.totals


async def _is_other_master(world: Watched, old: int) -> bool:
    return await world.master() != old


async def _agrees(parts: Parts) -> bool:
    verified = await verify_ranks(parts)
    return verified.standings == len(PLAYERS) and not verified.differences


async def _shows_top(parts: Parts, seen: Seen) -> bool:
    return list(seen.last.entries) == list((await read_top(parts, "global", 3, None)).standings)


async def test_a_master_that_is_killed(clean: LocalCluster, worlds: dict[str, Watched]) -> None:
    world = worlds["killed"]

    async def kill(master: int) -> None:
        await world.servers[master].stop(kill=True)

    await check_fail_over(clean, world, kill)


async def test_a_master_that_hangs(clean: LocalCluster, worlds: dict[str, Watched]) -> None:
    world = worlds["hangs"]

    async def hang(master: int) -> None:
        os.kill(world.servers[master].pid, signal.SIGSTOP)

    await check_fail_over(clean, world, hang)


async def test_a_master_that_is_relieved(clean: LocalCluster, worlds: dict[str, Watched]) -> None:
    world = worlds["relieved"]

    async def relieve(_: int) -> None:
        await world.fail_over()

    await check_fail_over(clean, world, relieve)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis+cluster://a:1,b:2/0", "a board is one sorted set, which no cluster would spread"),
        ("redis://a:1,b:2/0", r"several hosts; those of Sentinels begin with redis\+sentinel://"),
        ("redis+sentinel://a:1,b:2", "it names no master"),
        ("redis+sentinel://a:1,/board", "one of its hosts is empty"),
        ("redis+sentinel://a:1/board/zero", "/zero is no number of a database"),
        ("redis+sentinel://a:x/board", "is no address of a Redis"),
        ("redis+sentinel://a/board?ssl_ca_certs=/a.crt", "ssl_ca_certs"),
        ("redis+sentinel://a/board?colour=red", "colour"),
        ("memcached://a", "is no address of a Redis"),
    ],
)
async def test_a_wrong_address_is_refused_in_words(url: str, why: str) -> None:
    with pytest.raises(OperatorError, match=why) as refused:
        make_redis(url.replace("://", "://:secret-word@"), timeout_s=1)
    assert "secret-word" not in str(refused.value)


async def test_a_cluster_is_refused_when_it_answers(clean: LocalCluster, tmp_path: Path) -> None:
    port = find_free_port(set())
    node = valkey_child(tmp_path, port, f"cluster-enabled yes\nrequirepass {PASSWORD}\n")
    await node.start()
    try:
        with pytest.raises(OperatorError, match="leads to a Redis Cluster"):
            async with opened_parts(clean, redis_url=f"redis://:{PASSWORD}@{HOST}:{port}/0"):
                pytest.fail("it was opened")
    finally:
        await node.stop(kill=True)


async def test_tls_and_logins_hold_for_the_master_and_for_the_sentinels_that_name_it() -> None:
    query = "ssl_ca_certs=/a.crt&sentinel_username=s&sentinel_password=t"
    redis = make_redis(f"rediss+sentinel://u:p%40@one,two:7/board/3?{query}", timeout_s=1)
    pool = redis.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    assert issubclass(pool.connection_class, SentinelManagedSSLConnection)
    said = {word: pool.connection_kwargs[word] for word in ("username", "password", "db", "ssl_ca_certs")}
    assert (pool.service_name, said) == (
        "board",
        {"username": "u", "password": "p@", "db": 3, "ssl_ca_certs": "/a.crt"},
    )
    asked = [sentinel.connection_pool for sentinel in pool.sentinel_manager.sentinels]
    assert [(each.connection_kwargs["host"], each.connection_kwargs["port"]) for each in asked] == [
        ("one", 26379),
        ("two", 7),
    ]
    for each in asked:
        assert issubclass(each.connection_class, SSLConnection)
        login = {word: each.connection_kwargs[word] for word in ("username", "password", "ssl_ca_certs")}
        assert login == {"username": "s", "password": "t", "ssl_ca_certs": "/a.crt"}
    await close_redis(redis)
