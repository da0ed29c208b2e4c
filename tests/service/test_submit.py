from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from domain.errors import BadUserInput, Conflict, Unavailable
from domain.ids import instant_of
from domain.standing import Recorded, Session, Standing
from domain.submission import SCORE_MAX, Submission
from infra.local.cluster import LocalCluster
from ranking.projection import Projection
from service.parts import Parts
from service.read_standing import read_standing
from service.read_top import read_top
from service.submit import submit_score, submit_scores
from tests.factories import make_id, make_submission, opened_parts, users_of_shard
from tests.service.boards import board_of_redis, board_of_shards, until_equal
from tests.sharding.replicated import hanging
from tests.waiting import until


async def test_the_answer_holds_the_session_and_the_standing_after_it(parts: Parts) -> None:
    await submit_score(parts, make_submission(1, 50))
    await submit_score(parts, make_submission(2, 30))
    submission = make_submission(3, 40, username="Ada", game_mode="arena", duration_seconds=9)
    played = instant_of(submission.id)
    assert await submit_score(parts, submission) == Recorded(
        Session(submission.id, 3, 40, "arena", 9, played),
        Standing(3, "Ada", 40, 1, played, 2, 200 / 3),
        False,
    )


async def test_who_reads_after_its_answer_sees_the_write(parts: Parts) -> None:
    version = parts.board_version("global")
    for number, user in enumerate(range(40), start=1):
        recorded = await submit_score(parts, make_submission(user, user))
        assert await read_standing(parts, "global", user) == recorded.standing
        page = await read_top(parts, "global", 1, None)
        assert (page.standings, page.total_count) == ([recorded.standing], number)
        assert parts.board_version("global") > version
        version = parts.board_version("global")


async def test_64_concurrent_submissions_of_one_id_count_once(parts: Parts, ready: LocalCluster) -> None:
    id_ = make_id()
    async with opened_parts(ready) as other:
        answers = await asyncio.gather(
            *(
                submit_score(process, make_submission(7, 10, id=id_, id_given=True))
                for _ in range(32)
                for process in (parts, other)
            )
        )
    assert sorted(answer.duplicate for answer in answers) == [False] + [True] * 63
    assert {(a.standing.total_score, a.standing.games_played, a.standing.rank) for a in answers} == {(10, 1, 1)}
    assert [(row.user_id, row.total_score) for row in await until_equal(ready)] == [(7, 10)]


async def test_a_retry_is_answered_with_the_total_of_then_and_the_rank_of_now(parts: Parts) -> None:
    first = make_submission(7, 10, id_given=True)
    await submit_score(parts, first)
    await submit_score(parts, make_submission(7, 1000))
    await submit_score(parts, make_submission(8, 100))
    again = await submit_score(parts, make_submission(7, 10, id=first.id, id_given=True))
    assert again.duplicate
    assert (again.standing.total_score, again.standing.games_played, again.standing.rank) == (10, 1, 2)


@pytest.mark.parametrize("shard", [1, 2])
async def test_an_id_of_another_player_is_a_conflict_on_whichever_shard(
    parts: Parts, ready: LocalCluster, shard: int
) -> None:
    owner, *_, thief = [*users_of_shard(1, 1), *users_of_shard(shard, 2)]
    first = make_submission(owner, 10, id_given=True)
    await submit_score(parts, first)
    before = await board_of_shards(ready)
    with pytest.raises(Conflict, match=f"submissionId {first.id} was used before with other content"):
        await submit_score(parts, make_submission(thief, 10, id=first.id, id_given=True))
    assert await board_of_shards(ready) == before == await board_of_redis(ready)


async def test_whose_an_id_is_nobody_says_while_the_players_shard_does_not(parts: Parts, ready: LocalCluster) -> None:
    (owner,), (thief,) = users_of_shard(1, 1), users_of_shard(2, 1)
    first = make_submission(owner, 10, id_given=True)
    await submit_score(parts, first)
    used_again = make_submission(thief, 10, id=first.id, id_given=True)
    with hanging(ready.child("pgbouncer", 2)):
        # The thief may have been let through before, while shard1 was away: then this would be a retry.
        with pytest.raises(Unavailable, match="try again with the same submissionId"):
            await submit_score(parts, used_again)
        answers = await submit_scores(parts, [used_again, make_submission(owner, 1)])
        assert [type(answer) for answer in answers] == [Unavailable, Recorded]
    await until(lambda: _is_conflict(parts, used_again))


async def _is_conflict(parts: Parts, submission: Submission) -> bool:
    try:
        await submit_score(parts, submission)
    except Conflict:
        return True
    except Unavailable:
        return False
    raise AssertionError("the id of another player was taken")


async def test_each_input_of_a_bulk_stands_alone(parts: Parts, ready: LocalCluster) -> None:
    await submit_score(parts, make_submission(1, SCORE_MAX))
    first = make_submission(2, 5, id_given=True)
    refused = BadUserInput("inputs[2].score is no score")
    answers = await submit_scores(
        parts,
        [
            first,
            make_submission(1, 1),
            refused,
            make_submission(2, 5, id=first.id, id_given=True),
            make_submission(2, 6, id=first.id, id_given=True),
            make_submission(3, 7),
        ],
    )
    assert [type(answer) for answer in answers] == [Recorded, BadUserInput, BadUserInput, Recorded, Conflict, Recorded]
    assert answers[2] is refused
    assert [answer.duplicate for answer in answers if isinstance(answer, Recorded)] == [False, True, False]
    assert [(r.user_id, r.total_score) for r in await until_equal(ready)] == [(1, SCORE_MAX), (3, 7), (2, 5)]


@pytest.mark.parametrize("shard", [1, 2])
async def test_one_id_for_two_players_in_one_bulk_is_the_first_ones(
    parts: Parts, ready: LocalCluster, shard: int
) -> None:
    owner, *_, thief = [*users_of_shard(1, 1), *users_of_shard(shard, 2)]
    first = make_submission(owner, 10, id_given=True)
    answers = await submit_scores(
        parts, [first, make_submission(thief, 10, id=first.id, id_given=True), make_submission(thief, 3)]
    )
    assert [type(answer) for answer in answers] == [Recorded, Conflict, Recorded]
    assert {(r.user_id, r.total_score) for r in await until_equal(ready)} == {(owner, 10), (thief, 3)}


async def test_a_thousand_inputs_of_few_players_add_up(parts: Parts, ready: LocalCluster) -> None:
    answers: list[Recorded | Exception] = await submit_scores(
        parts, [make_submission(number % 7, 1) for number in range(1000)]
    )
    assert {type(answer) for answer in answers} == {Recorded}
    assert {(row.user_id, row.total_score) for row in await until_equal(ready)} == {
        (user, len(range(user, 1000, 7))) for user in range(7)
    }


async def test_an_empty_bulk_has_an_empty_answer(parts: Parts) -> None:
    assert await submit_scores(parts, []) == []


async def test_ranks_that_cannot_keep_up_refuse_no_session(
    parts: Parts, ready: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ranking.projection._QUEUE_MAX", 0)
    crowded = Projection(parts.store, "global")
    with pytest.raises(Unavailable, match="Redis has more work waiting"):
        await crowded.standing(1)
    monkeypatch.setattr(type(parts.projection), "apply", lambda _, *row: crowded._applies.put(row))
    recorded = await submit_score(parts, make_submission(7, 10))
    assert (recorded.standing.total_score, recorded.standing.rank) == (10, 1)
    monkeypatch.undo()
    assert [row.user_id for row in await until_equal(ready)] == [7]


async def test_a_full_redis_refuses_no_session(parts: Parts, ready: LocalCluster) -> None:
    async with Redis.from_url(ready.redis_url) as redis:
        await redis.config_set("maxmemory", "1")
        try:
            recorded = await submit_score(parts, make_submission(7, 10))
            assert (recorded.standing.total_score, recorded.standing.rank) == (10, 1)
        finally:
            await redis.config_set("maxmemory", "0")
    assert [row.user_id for row in await until_equal(ready)] == [7]
