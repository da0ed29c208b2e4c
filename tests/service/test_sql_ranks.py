"""Ranks without Redis are the same ranks, down to a depth; below it they are null."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from db.standings import count_better, read_page
from domain.cursor import standing_cursor
from domain.standing import Standing
from domain.submission import SCORE_MAX, Submission
from infra.local.cluster import LocalCluster
from ranking.projection import Place
from service import sql_ranks
from service.parts import Parts
from service.read_standing import read_around, read_standing, read_standings
from service.read_top import read_top
from service.sql_ranks import SqlRanks
from service.submit import submit_score
from tests.db.shards import connected
from tests.factories import make_submission, opened_parts
from tests.ranking import plain
from tests.service.boards import board_of_shards, until_equal


@pytest.fixture
async def crowd(parts: Parts, ready: LocalCluster) -> list[Standing]:
    """400 players with many ties, negative totals and ids; their standings, best first."""
    dice = random.Random(1224)
    users = [*dice.sample(range(-1000, 1000), 396), -(2**63), 2**63 - 1, 0, -1]
    totals = [-SCORE_MAX, SCORE_MAX, *range(-8, 8)]
    users = list(dict.fromkeys(users))
    await asyncio.gather(*(parts.router.record(make_submission(user, dice.choice(totals))) for user in users))
    return plain.standings(await until_equal(ready))


@pytest.fixture
async def without_redis(ready: LocalCluster) -> AsyncIterator[None]:
    child = ready.child("valkey")
    await child.stop()
    yield
    await child.start()


async def test_every_page_is_the_same_in_sql(parts: Parts, crowd: list[Standing]) -> None:
    for first in (1, 7, 100):
        for index in [-1, 0, 5, 17, 18, 200, len(crowd) - 2, len(crowd) - 1]:
            after = None if index < 0 else (crowd[index].total_score, crowd[index].user_id)
            in_redis = await parts.projection.page(first, after)
            in_sql = await parts.sql_ranks.page(first, after)
            assert list(in_sql.standings) == list(in_redis.standings) == crowd[index + 1 : index + 1 + first]
            assert (in_sql.total_count, in_sql.has_next) == (in_redis.total_count, in_redis.has_next)
            assert (in_sql.position > 0) == (in_redis.position > 0) == (index >= 0)


async def test_a_place_where_nobody_stands_is_the_same_in_sql(parts: Parts, crowd: list[Standing]) -> None:
    dice = random.Random(7)
    for _ in range(25):
        after = (dice.randint(-10, 10), dice.randint(-1100, 1100))
        in_redis = await parts.projection.page(9, after)
        assert list((await parts.sql_ranks.page(9, after)).standings) == list(in_redis.standings)


async def test_every_single_standing_is_the_same_in_sql(parts: Parts, crowd: list[Standing]) -> None:
    ids = [standing.user_id for standing in crowd]
    for start in range(0, len(ids), 100):
        wanted = [*ids[start : start + 100], 123_456_789]
        assert await parts.sql_ranks.standings(wanted) == [*crowd[start : start + 100], None]
    assert await parts.projection.standings(ids) == crowd


async def test_neighbours_are_the_same_in_sql(parts: Parts, crowd: list[Standing]) -> None:
    for index in [0, 1, 30, 31, 199, len(crowd) - 2, len(crowd) - 1]:
        for radius in (0, 1, 6, 50):
            in_sql = await parts.sql_ranks.around(crowd[index].user_id, radius)
            assert in_sql == crowd[max(0, index - radius) : index + radius + 1]
            assert in_sql == await parts.projection.around(crowd[index].user_id, radius)
    assert await parts.sql_ranks.around(123_456_789, 5) is None


async def test_where_a_total_stands_is_the_same_in_sql(parts: Parts, crowd: list[Standing]) -> None:
    for standing in crowd[::40]:
        for total in (standing.total_score, -9, 0, 9):
            in_redis = await parts.projection.apply(None, standing.user_id, total)
            assert await parts.sql_ranks.place(standing.user_id, total) == in_redis


async def test_below_the_depth_there_is_no_rank(parts: Parts, crowd: list[Standing]) -> None:
    shallow = SqlRanks(parts.router, depth_max=50)
    ranks = [standing.rank if standing.rank and standing.rank <= 50 else None for standing in crowd]
    assert None in ranks
    found = [
        standing
        for start in range(0, len(crowd), 100)
        for standing in await shallow.standings([s.user_id for s in crowd[start : start + 100]])
    ]
    assert [s and s.rank for s in found] == ranks
    assert [s and (s.user_id, s.total_score) for s in found] == [(s.user_id, s.total_score) for s in crowd]
    assert {s.percentile for s in found if s and s.rank is None} == {None}
    assert await shallow.place(crowd[-1].user_id, crowd[-1].total_score) is None
    deep = await shallow.page(5, (crowd[200].total_score, crowd[200].user_id))
    assert [(s.user_id, s.rank) for s in deep.standings] == [(s.user_id, None) for s in crowd[201:206]]


async def test_what_is_asked_without_redis_is_answered_from_sql(
    parts: Parts, crowd: list[Standing], without_redis: None
) -> None:
    ids = [standing.user_id for standing in crowd[:3]]
    assert await read_standing(parts, "global", ids[2]) == crowd[2]
    assert await read_standing(parts, "global", 123_456_789) is None
    assert await read_standings(parts, "global", [*ids, ids[0]]) == [*crowd[:3], crowd[0]]
    assert await read_around(parts, "global", ids[0], 3) == crowd[:4]
    page = await read_top(parts, "global", 10, None)
    assert (list(page.standings), page.total_count, page.has_next) == (crowd[:10], len(crowd), True)
    cursor = standing_cursor("global", crowd[9].total_score, crowd[9].user_id)
    page = await read_top(parts, "global", 10, cursor)
    assert list(page.standings) == crowd[10:20]


async def test_submissions_without_redis_are_ranked_by_sql(
    parts: Parts, ready: LocalCluster, without_redis: None
) -> None:
    """One after the other, each with the share that it had among the players of that moment."""
    for number, user in enumerate(range(10), start=1):
        recorded = await submit_score(parts, make_submission(user, -user))
        standing = recorded.standing
        assert standing.rank == number
        assert standing.percentile == 100 / number
        page = await read_top(parts, "global", 100, None)
        assert (page.total_count, len(page.standings)) == (number, number)
    assert plain.standings(await board_of_shards(ready)) == list(page.standings)


async def test_many_submissions_without_redis_have_the_right_rank_or_none(
    parts: Parts, ready: LocalCluster, without_redis: None
) -> None:
    answers = await asyncio.gather(*(submit_score(parts, make_submission(user, 5)) for user in range(100)))
    assert {answer.standing.rank for answer in answers} <= {1, None}
    assert {row.total_score for row in await board_of_shards(ready)} == {5}


async def test_rows_that_a_moved_bucket_left_behind_count_for_nothing(
    parts: Parts, ready: LocalCluster, crowd: list[Standing]
) -> None:
    """A copy of a row on a shard that does not own its bucket, as after a move that has not cleaned up."""
    best = crowd[0]
    urls = [shard.direct_url for shard in ready.shards]
    async with connected(urls[0]) as connection:
        held = await connection.fetchval("select exists (select from leaderboard where user_id = $1)", best.user_id)
    other = urls[1] if held else urls[0]
    async with connected(other) as connection:
        await connection.execute(
            "insert into leaderboard select bucket_of($1), 1, $1, $2, 1, now(), 1, pg_current_xact_id()",
            best.user_id,
            best.total_score,
        )
        await connection.execute("insert into players select bucket_of($1), $1, 'ghost', now()", best.user_id)
    sql_ranks = SqlRanks(parts.router, depth_max=1000)
    page = await sql_ranks.page(20, None)
    assert (list(page.standings), page.total_count) == (crowd[:20], len(crowd))
    assert await sql_ranks.around(crowd[5].user_id, 10) == crowd[:16]
    assert await sql_ranks.standings([best.user_id, crowd[30].user_id]) == [best, crowd[30]]


async def test_a_process_without_relay_answers_from_sql_while_redis_holds_nothing(
    ready: LocalCluster,
) -> None:
    async with opened_parts(ready, background=False) as parts:
        recorded = await submit_score(parts, make_submission(7, 10))
        assert (recorded.standing.rank, recorded.standing.percentile) == (1, 100.0)
        assert await read_standing(parts, "global", 7) == recorded.standing


@pytest.fixture
def play_before_counting(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets players submit right after rows were read and before anybody is counted, once."""

    def install(*submissions: Submission) -> None:
        waiting = list(submissions)

        async def count(*args: Any, **kwargs: Any) -> Any:
            played, waiting[:] = list(waiting), []
            await asyncio.gather(*map(parts.router.record, played))
            return await count_better(*args, **kwargs)

        monkeypatch.setattr(sql_ranks, "count_better", count)

    return install


async def test_who_plays_on_is_not_counted_before_itself(
    parts: Parts, play_before_counting: Callable[..., None]
) -> None:
    """Totals 100, 90, …, 10 of players 1 to 10; the one asked for wins before the better ones are counted, or loses."""
    await asyncio.gather(*(parts.router.record(make_submission(user, 110 - 10 * user)) for user in range(1, 11)))
    for score in (500, -1_000):
        play_before_counting(make_submission(5, score))
        assert await parts.sql_ranks.place(5, 60) == Place(5, 10)
        # Back to 60.
        await parts.router.record(make_submission(5, -score))
    play_before_counting(make_submission(5, 500), make_submission(6, -1_000))
    five, six = await parts.sql_ranks.standings([5, 6])
    assert five
    assert six
    assert [(five.total_score, five.rank), (six.total_score, six.rank)] == [(60, 5), (50, 6)]


@pytest.mark.parametrize("score", [500, -1_000])
@pytest.mark.parametrize("who", [4, 5, 6, 7])
async def test_who_is_in_a_page_is_counted_once(
    parts: Parts, play_before_counting: Callable[..., None], who: int, score: int
) -> None:
    await asyncio.gather(*(parts.router.record(make_submission(user, 110 - 10 * user)) for user in range(1, 11)))
    play_before_counting(make_submission(who, score))
    around = await parts.sql_ranks.around(5, 2)
    assert around is not None
    assert [(each.user_id, each.rank) for each in around] == [(3, 3), (4, 4), (5, 5), (6, 6), (7, 7)]


async def test_who_plays_between_two_reads_is_shown_once(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    await asyncio.gather(*(parts.router.record(make_submission(user, 110 - 10 * user)) for user in range(1, 11)))
    playing: list[asyncio.Future[Any]] = []

    async def read_then(*args: Any, **kwargs: Any) -> Any:
        if not playing:
            # From 60 to 45: behind its own place.
            playing.append(asyncio.ensure_future(parts.router.record(make_submission(5, -15))))
        await playing[0]
        return await read_page(*args, **kwargs)

    monkeypatch.setattr(sql_ranks, "read_page", read_then)
    around = await parts.sql_ranks.around(5, 3)
    assert around is not None
    assert [(each.user_id, each.total_score) for each in around] == [
        (2, 90), (3, 80), (4, 70), (5, 60), (6, 50), (7, 40),
    ]  # fmt: skip
