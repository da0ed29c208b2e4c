"""`shardboard ranks`: every kind of difference is found and named, and a rebuild mends all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from infra.local.cluster import LocalCluster
from ranking.keys import BoardKeys
from ranking.members import member_of, pack_row, unpack_row
from service.renew_ranks import renew_ranks
from service.submit import submit_score
from tests.cli.shell import shardboard
from tests.factories import make_submission, opened_parts

KEYS = BoardKeys("global")
PLAYERS = 12


@pytest.fixture
async def board(clean: LocalCluster, months: None) -> LocalCluster:
    """A cluster with 12 players, whose totals are ten times their ids, and their ranks."""
    async with opened_parts(clean, background=False) as parts:
        await renew_ranks(parts)
        for user_id in range(1, PLAYERS + 1):
            await submit_score(parts, make_submission(user_id, 10 * user_id))
    return clean


@pytest.fixture
async def redis(clean: LocalCluster) -> AsyncIterator[Redis]:
    async with Redis.from_url(clean.redis_url) as redis:
        yield redis


async def test_equal_ranks_are_found_equal(board: LocalCluster) -> None:
    done = await shardboard(board, "ranks", "verify")
    assert (done.code, done.err) == (0, "")
    assert done.out == "12 standings, all of them in Redis as the shards have them\n"


async def test_every_planted_difference_is_named(board: LocalCluster, redis: Redis) -> None:
    await redis.zadd(KEYS.ranks, {member_of(1): -11})
    await redis.zrem(KEYS.ranks, member_of(2))
    await redis.zadd(KEYS.ranks, {member_of(-5): -50, b"odd": -1})
    await redis.hdel(KEYS.rows, member_of(3))
    score: Any = await redis.zscore(KEYS.ranks, member_of(4))
    packed: Any = await redis.hget(KEYS.rows, member_of(4))
    row = unpack_row(member_of(4), repr(score).encode(), packed)
    await redis.hset(KEYS.rows, member_of(4), pack_row(replace(row, username="Mallory", games_played=9, revision=8)))

    done = await shardboard(board, "ranks", "verify", "--json")
    assert done.code == 1
    assert done.err.endswith("`shardboard ranks rebuild` makes the ranks anew\n")
    assert done.json["standings"] == 12
    assert done.json["differences"] == 8
    assert sorted(tuple(each.values()) for each in done.json["named"]) == sorted(
        [
            ("1", "total_score", 10, 11),
            ("2", "missing", 20, None),
            ("-5", "extra", None, 50),
            ("0x6f6464", "extra", None, None),
            ("3", "details", "player 3", None),
            ("4", "username", "player 4", "Mallory"),
            ("4", "games_played", 1, 9),
            ("4", "revision", 1, 8),
        ]
    )

    rebuilt = await shardboard(board, "ranks", "rebuild")
    assert (rebuilt.code, rebuilt.out) == (0, "the ranks are built anew from 12 standings\n")
    assert (await shardboard(board, "ranks", "verify")).code == 0


async def test_a_member_too_many_beside_one_missing_is_found(board: LocalCluster, redis: Redis) -> None:
    """The number of members alone would not tell."""
    await redis.zrem(KEYS.ranks, member_of(2))
    await redis.hdel(KEYS.rows, member_of(2))
    await redis.zadd(KEYS.ranks, {member_of(77): -1})
    await redis.hset(KEYS.rows, member_of(77), b"")
    done = await shardboard(board, "ranks", "verify", "--json")
    assert sorted((each["player"], each["what"]) for each in done.json["named"]) == [("2", "missing"), ("77", "extra")]


async def test_not_more_than_twenty_are_named(board: LocalCluster, redis: Redis) -> None:
    await redis.zadd(KEYS.ranks, {member_of(user_id): -1 for user_id in range(100, 130)})
    done = await shardboard(board, "ranks", "verify", "--json")
    assert (done.code, done.json["differences"], len(done.json["named"])) == (1, 30, 20)


async def test_writes_that_go_on_are_no_differences(board: LocalCluster) -> None:
    async with opened_parts(board) as parts:
        stop = False

        async def write() -> None:
            while not stop:
                await asyncio.gather(*(submit_score(parts, make_submission(n, 1)) for n in range(1, PLAYERS + 1)))

        writing = asyncio.create_task(write())
        try:
            done = await shardboard(board, "ranks", "verify")
        finally:
            stop = True
            await writing
    assert (done.code, done.out) == (0, "12 standings, all of them in Redis as the shards have them\n")


async def test_without_ranks_it_says_so(board: LocalCluster, redis: Redis) -> None:
    await redis.flushall()
    done = await shardboard(board, "ranks", "verify")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("shardboard: Redis holds no ranks now;")
    assert (await shardboard(board, "ranks", "rebuild", "--json")).json == {"standings": 12}
    assert (await shardboard(board, "ranks", "verify")).code == 0
