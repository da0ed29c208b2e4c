from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from db.postgres import Postgres
from domain.errors import Unavailable
from domain.standing import Player
from infra.local.cluster import LocalCluster
from service.load_players import load_players, load_recent_sessions
from service.parts import Parts
from service.submit import submit_score
from tests.factories import make_id, make_submission, opened_parts, users_of_shard
from tests.sharding.routers import move_bucket, reset_owners


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Which shards were sent a statement, in order."""
    shards: list[str] = []
    call = Postgres.call

    async def counted(self: Postgres, statement: str, *arguments: object, timeout_s: float | None = None) -> object:
        shards.append(self.name)
        return await call(self, statement, *arguments, timeout_s=timeout_s)

    monkeypatch.setattr(Postgres, "call", counted)
    yield shards
    monkeypatch.undo()


async def test_a_page_of_players_is_one_query_a_touched_shard(ready: LocalCluster, asked: list[str]) -> None:
    users = [user for number in (1, 3, 4) for user in users_of_shard(number, 30)]
    async with opened_parts(ready, background=False) as parts:
        await asyncio.gather(*(parts.router.record(make_submission(user, 1)) for user in users))
        asked.clear()
        found = await load_players(parts, [*users, users[0]])
        assert sorted(asked) == ["shard1", "shard3", "shard4"]
        assert [player.user_id for player in found if isinstance(player, Player)] == [*users, users[0]]
        assert [player.username for player in found if isinstance(player, Player)][:2] == [
            f"player {users[0]}",
            f"player {users[1]}",
        ]
        asked.clear()
        assert await load_players(parts, users_of_shard(2, 31)) == [None] * 31
        assert asked == ["shard2"]
        asked.clear()
        assert await load_players(parts, []) == []
        assert asked == []


async def test_the_sessions_of_a_page_are_one_query_a_touched_shard(ready: LocalCluster, asked: list[str]) -> None:
    users = [user for number in (1, 2, 4) for user in users_of_shard(number, 10)]
    async with opened_parts(ready, background=False) as parts:
        for score in (1, 2, 3):
            await asyncio.gather(
                *(parts.router.record(make_submission(u, score, id=make_id(10 - score))) for u in users)
            )
        asked.clear()
        absent = users_of_shard(2, 11)[-1]
        found = await load_recent_sessions(parts, [*users, absent], 2)
        assert sorted(asked) == ["shard1", "shard2", "shard4"]
        assert [[s.score for s in sessions] for sessions in found if not isinstance(sessions, Unavailable)] == [
            [3, 2]
        ] * len(users) + [[]]
        assert [
            sessions[0].user_id for sessions in found if sessions and not isinstance(sessions, Unavailable)
        ] == users


async def test_players_of_a_bucket_that_moved_are_found_where_they_are(ready: LocalCluster) -> None:
    user, stays = users_of_shard(1, 2)
    async with opened_parts(ready, background=False) as parts:
        for each in (user, stays):
            await parts.router.record(make_submission(each, 1))
        bucket, _ = await parts.router.locate(user)
        try:
            await move_bucket(ready.shards[0].direct_url, ready.shards[2].direct_url, bucket, 2)
            found = await load_players(parts, [user, stays])
            assert [player.user_id for player in found if isinstance(player, Player)] == [user, stays]
        finally:
            await reset_owners(ready)


async def test_a_dead_shard_fails_its_own_players_alone(ready: LocalCluster, parts: Parts) -> None:
    dead, alive = users_of_shard(2, 1)[0], users_of_shard(3, 1)[0]
    for user in (dead, alive):
        await submit_score(parts, make_submission(user, 1))
    child = ready.child("pgbouncer", 2)
    await child.stop(kill=True)
    try:
        players = await load_players(parts, [dead, alive])
        assert isinstance(players[0], Unavailable)
        assert isinstance(players[1], Player)
        sessions = await load_recent_sessions(parts, [dead, alive], 5)
        assert isinstance(sessions[0], Unavailable)
        assert not isinstance(sessions[1], Unavailable)
        assert [session.score for session in sessions[1]] == [1]
    finally:
        await child.start()
