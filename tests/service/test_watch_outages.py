"""Whatever becomes of Redis, watchers see whole boards with growing numbers, and the newest one in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from itertools import pairwise

import pytest
from redis.asyncio import Redis

from domain.errors import Unavailable
from domain.resilience.breaker import State
from domain.standing import Recorded, StandingPage
from infra.local.cluster import LocalCluster
from ranking.rebuild import Rebuild
from service.board_watch import SQL_PAUSE_S
from service.parts import Parts
from service.read_top import read_top
from service.relay import rebuild_ranks
from service.sql_ranks import SqlRanks
from service.submit import submit_score, submit_scores
from service.watch import watch_top
from tests.factories import make_row, make_submission, opened_parts
from tests.service.boards import KEYS, ranks_are_there, until_equal
from tests.service.deaf_proxy import deaf_proxy
from tests.service.test_signals import listeners
from tests.service.watching import Seen, agree, watching
from tests.waiting import until

PLAYERS = 40


@pytest.fixture
async def filled(parts: Parts) -> Parts:
    """A process whose board has 40 players."""
    await submit_scores(parts, [make_submission(user, 1000 - user) for user in range(PLAYERS)])
    return parts


@asynccontextmanager
async def watched_twice(cluster: LocalCluster, parts: Parts) -> AsyncIterator[tuple[Parts, Seen, Seen]]:
    """Another process, and a watcher of the same top in each; none ever sees less than a whole top."""
    async with opened_parts(cluster) as other, watching(parts, 30) as ours, watching(other, 30) as theirs:
        await until(lambda: bool(ours.tops and theirs.tops))
        yield other, ours, theirs
    assert {len(top.entries) for seen in (ours, theirs) for top in seen.tops} == {30}
    assert {entry.rank is None for seen in (ours, theirs) for top in seen.tops for entry in top.entries} == {False}


async def until_first(seen: Seen, recorded: Recorded) -> None:
    """Wait until the watcher was shown this standing as the best."""
    await until(partial(_is_first, seen, recorded))


async def until_total(seen: Seen, user_id: int, total: int) -> None:
    """Wait until the watcher was shown the player with this total."""
    await until(partial(shows_total, seen, user_id, total))


def shows_total(seen: Seen, user_id: int, total: int) -> bool:
    """Whether the watcher was shown the player with this total."""
    return (user_id, total) in [(entry.user_id, entry.total_score) for entry in seen.last.entries]


async def until_true(seen: Seen, parts: Parts) -> None:
    """Wait until the watcher was shown what a reader is told."""

    async def is_true() -> bool:
        return seen.last.entries == (await read_top(parts, "global", 30, None)).standings

    await until(is_true)


async def until_same(parts: Parts, ours: Seen, theirs: Seen, *, changes: int) -> None:
    """Change the board up to so many times, until both watchers were shown the truth under one number.

    A process that still reads from the shards when a change comes has a number of its own for it. That ends with the
    next read from Redis, which is a second away at most.
    """
    for _ in range(changes):
        recorded = await submit_score(parts, make_submission(PLAYERS - 1, 5000))
        for seen in (ours, theirs):
            await until_first(seen, recorded)
            await until_true(seen, parts)
        if ours.last.sequence == theirs.last.sequence:
            return
    raise AssertionError(f"{ours.last.sequence} is not {theirs.last.sequence}")


async def test_a_redis_that_lost_everything(ready: LocalCluster, filled: Parts) -> None:
    async with watched_twice(ready, filled) as (other, ours, theirs), Redis.from_url(ready.redis_url) as redis:
        for number in range(3):
            before = max(ours.last.sequence, theirs.last.sequence)
            await redis.flushall()
            await submit_score(other, make_submission(number, 2000))
            await until(lambda: ranks_are_there(filled))
            await until_same(filled, ours, theirs, changes=4)
            assert ours.last.sequence > before


async def test_a_redis_that_was_killed_and_started(ready: LocalCluster, filled: Parts) -> None:
    async with watched_twice(ready, filled) as (other, ours, theirs):
        child = ready.child("valkey")
        await until_same(filled, ours, theirs, changes=4)
        before = ours.last.sequence
        await child.stop(kill=True)
        try:
            recorded = await submit_score(other, make_submission(7, 9000))
            for seen in (ours, theirs):
                await until(lambda seen=seen: seen.last.entries[0].user_id == 7)  # type: ignore[misc]
                assert seen.last.entries[0].total_score == recorded.standing.total_score
                assert seen.last.sequence > before
        finally:
            await child.start()
        await until_equal(ready)
        await until_same(filled, ours, theirs, changes=4)


async def test_a_redis_with_an_older_number(ready: LocalCluster, filled: Parts) -> None:
    async with watched_twice(ready, filled) as (other, ours, theirs), Redis.from_url(ready.redis_url) as redis:
        for number, older in enumerate((b"5", b"0", None)):
            await until_same(filled, ours, theirs, changes=1)
            before = ours.last.sequence
            if older is None:
                await redis.delete(KEYS.version)
            else:
                await redis.hset(KEYS.version, "sequence", older.decode())
            await submit_score(other, make_submission(number, 1))
            await until_same(filled, ours, theirs, changes=1)
            assert ours.last.sequence > before
        assert agree(ours, theirs)


async def test_without_redis_the_shards_are_asked_now_and_then(
    ready: LocalCluster, filled: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    asked: list[float] = []
    page = SqlRanks.page

    async def noted(self: SqlRanks, first: int, after: tuple[int, int] | None) -> StandingPage:
        asked.append(loop.time())
        return await page(self, first, after)

    def shows_total_though_poked(user: int) -> bool:
        # Changes of its own process do not make it ask more often.
        filled.signals.changed("global")
        return shows_total(seen, user, 6000 - user)

    monkeypatch.setattr(SqlRanks, "page", noted)
    child = ready.child("valkey")
    async with watching(filled, 30) as seen:
        await seen.until_count(1)
        await child.stop()
        try:
            for number in range(3):
                # As another process would: without Redis nobody is told of it.
                await filled.router.record(make_submission(number, 5000))
                await until(partial(shows_total_though_poked, number))
                assert seen.last.entries == (await page(filled.sql_ranks, 30, None)).standings
            # What did not change keeps its number.
            count = len(asked)
            await until(lambda: len(asked) > count + 1)
            # A watcher who comes now sees what is there, however much of it, and asks nobody.
            count = len(asked)
            async with watching(filled, 40) as more:
                await more.until_count(1)
                assert more.last.sequence == seen.last.sequence
                assert len(more.last.entries) == PLAYERS
            assert len(asked) <= count + 1
        finally:
            await child.start()
        assert min(after - before for before, after in pairwise(asked)) >= SQL_PAUSE_S * 0.99
        await until_equal(ready)
        recorded = await submit_score(filled, make_submission(1, 50_000))
        await until_first(seen, recorded)


async def test_a_redis_that_answers_nonsense(
    ready: LocalCluster, filled: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(filled, 30) as seen, Redis.from_url(ready.redis_url) as redis:
        await seen.until_count(1)
        await redis.set(KEYS.version, "no hash")
        for user in range(3):
            await filled.router.record(make_submission(user, 5000))
            filled.signals.changed("global")
            await until_total(seen, user, 6000 - user)
        assert [record.message for record in caplog.records if record.name == "service.board_watch"] == [
            "the top of board global cannot be read from Redis"
        ]
        await redis.delete(KEYS.version)
        await until_equal(ready)
        await until_first(seen, await submit_score(filled, make_submission(5, 50_000)))


async def test_a_rebuild_under_way_shows_no_empty_and_no_half_board(ready: LocalCluster) -> None:
    async with opened_parts(ready, background=False) as parts:
        await submit_scores(parts, [make_submission(user, 1000 - user) for user in range(PLAYERS)])
        async with watching(parts, 30) as seen:
            whole = (await parts.sql_ranks.page(30, None)).standings
            await until(lambda: bool(seen.tops) and seen.last.entries == whole)
            rebuild = await Rebuild.begin(parts.store, KEYS)
            assert rebuild is not None
            for user in range(PLAYERS):
                await rebuild.add([make_row(user, 1000 - user)])
                parts.signals.changed("global")
                async with watching(parts, 5) as new:
                    assert (await new.until_count(1)).entries == whole[:5]
            await rebuild.give_up()
            assert await rebuild_ranks(parts) == PLAYERS
            recorded = await submit_score(parts, make_submission(3, 5000))
            await until_first(seen, recorded)
    assert {len(top.entries) for top in seen.tops} == {30}
    assert len(seen.tops) == 2


async def test_who_watches_keeps_the_last_state_while_nothing_answers(ready: LocalCluster, filled: Parts) -> None:
    valkey, pgbouncer = ready.child("valkey"), ready.child("pgbouncer", 2)
    async with watching(filled, 30) as seen:
        await seen.until_count(1)
        await asyncio.gather(valkey.stop(), pgbouncer.stop())
        try:
            async with opened_parts(ready, background=False) as other, aclosing(watch_top(other, "global", 10)) as tops:
                with pytest.raises(Unavailable, match="shard2"):
                    await anext(tops)
            # Where there is a state at hand a new watcher gets it; where it wants more than there is, none.
            async with watching(filled, 10) as new:
                assert (await new.until_count(1)).entries == seen.last.entries[:10]
            async with aclosing(watch_top(filled, "global", 40)) as tops:
                with pytest.raises(Unavailable, match="shard2"):
                    await anext(tops)
            assert len(seen.tops) == 1
            assert not seen.has_ended
        finally:
            await asyncio.gather(valkey.start(), pgbouncer.start())
        await until(lambda: ranks_are_there(filled))
        await until(lambda: filled.router.shards["shard2"].postgres.breaker.state is State.CLOSED)
        recorded = await submit_score(filled, make_submission(1, 50_000))
        await until_first(seen, recorded)


async def test_a_connection_that_died_without_a_word_is_mended(ready: LocalCluster, filled: Parts) -> None:
    head, _, address = ready.redis_url.rpartition("@")
    port = int(address.partition(":")[2].partition("/")[0])
    async with deaf_proxy(port) as proxy:
        through_proxy = f"{head}@127.0.0.1:{proxy.port}/0"
        async with opened_parts(ready, redis_url=through_proxy) as other, watching(other, 30) as seen:
            await seen.until_count(1)
            await until(lambda: _listening(ready, 2))
            version = other.board_version("global")
            assert proxy.fall_silent() >= 1
            recorded = await submit_score(filled, make_submission(1, 5000))
            # Sooner than the backstop would have it. To the server the dead listener is still one.
            await until(lambda: other.board_version("global") > version, seconds_max=4.5)
            await until(lambda: _listening(ready, 3), seconds_max=4.5)
            await until_first(seen, recorded)
            for _ in range(3):
                # Other connections of the process died as well; each costs one command its time-out, a second.
                recorded = await submit_score(filled, make_submission(2, 50_000))
                await until(partial(_is_first, seen, recorded), seconds_max=4.0)


def _is_first(seen: Seen, recorded: Recorded) -> bool:
    return seen.last.entries[0] == recorded.standing


async def _listening(cluster: LocalCluster, count: int) -> bool:
    return await listeners(cluster) == count
