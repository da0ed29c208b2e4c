"""What the ranks do not hold of a page's players costs one query for each shard touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from domain.resilience.admission import Admission
from graph.answering import Answering
from graph.context import NOBODY
from graph.disclosure import OPEN
from graph.documents import Prepared
from graph.persisted import PersistedOperations
from graph.request import GraphRequest
from infra.local.cluster import LocalCluster
from ranking.documents import SharedDocuments
from service.parts import Parts
from tests.acceptance.client import Api, without_ids
from tests.factories import opened_parts, users_of_shard


def counting(shard: str, call: Callable[..., Any], counted: Counter[tuple[str, str]]) -> Callable[..., Any]:
    """`call` itself, which writes down what it was called with."""

    async def counted_call(statement: str, *arguments: object, **more: Any) -> Any:
        for kind, mark in (("players", "join players"), ("sessions", "read_history(")):
            if mark in statement:
                counted[shard, kind] += 1
        return await call(statement, *arguments, **more)

    return counted_call


def count_queries(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    """Counts, from now on, what each shard is asked: (shard, "players" or "sessions")."""
    counted: Counter[tuple[str, str]] = Counter()
    for name, shard in parts.router.shards.items():
        monkeypatch.setattr(shard.postgres, "call", counting(name, shard.postgres.call, counted))
    return counted


async def answer(parts: Parts, query: str) -> dict[str, Any]:
    persisted = PersistedOperations(SharedDocuments(parts.store), {}, only=False)
    answering, request = Answering(parts, OPEN, persisted, Admission()), GraphRequest(query, None, {})
    prepared = answering.prepare(request)
    assert isinstance(prepared, Prepared)
    reply = await answering.answer(b"", prepared, request, answering.context(NOBODY))
    answered: dict[str, Any] = orjson.loads(reply.body)
    return answered


@pytest.fixture
async def players(api: Api) -> list[int]:
    """Five players on each of the first three shards, who played twice each."""
    chosen = [player for number in (1, 2, 3) for player in users_of_shard(number, 5)]
    for score in (1, 2):
        await api.submit_many([{"userId": str(p), "username": f"player {p}", "score": score} for p in chosen])
    return chosen


async def test_a_page_of_players_costs_one_query_a_shard(
    clean: LocalCluster, players: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_parts(clean, background=False) as parts:
        counted = count_queries(parts, monkeypatch)
        found = await answer(
            parts,
            "{ leaderboard(first: 100) { edges { node { joinedAt } } nodes { userId lastPlayed joinedAt "
            "recentSessions(first: 1) { score } again: recentSessions(first: 1) { userId } } } "
            f"ranks(userIds: {players}) {{ joinedAt }} }}",
        )
    nodes = found["data"]["leaderboard"]["nodes"]
    assert sorted(int(node["userId"]) for node in nodes) == sorted(players)
    for node in nodes:
        assert node["recentSessions"] == [{"score": 2}]
        assert node["again"] == [{"userId": node["userId"]}]
        joined = datetime.fromisoformat(node["joinedAt"])
        assert abs(datetime.fromisoformat(node["lastPlayed"]) - joined) < timedelta(seconds=30)
    assert [edge["node"]["joinedAt"] for edge in found["data"]["leaderboard"]["edges"]] == [
        node["joinedAt"] for node in nodes
    ]
    assert counted == {(f"shard{n}", kind): 1 for n in (1, 2, 3) for kind in ("players", "sessions")}


async def test_a_page_without_those_fields_costs_none(
    clean: LocalCluster, players: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_parts(clean, background=False) as parts:
        counted = count_queries(parts, monkeypatch)
        found = await answer(parts, "{ leaderboard(first: 100) { nodes { username gamesPlayed } } }")
    assert len(found["data"]["leaderboard"]["nodes"]) == len(players)
    assert counted == {}


async def test_recent_sessions_are_bounded(api: Api, players: list[int]) -> None:
    for first in (0, 21):
        answered = await api.send(f"{{ rank(userId: {players[0]}) {{ recentSessions(first: {first}) {{ id }} }} }}")
        assert without_ids(answered)["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
        assert answered["errors"][0]["message"] == f"first must lie between 1 and 20; got {first}."
        assert answered["data"] == {"rank": {"recentSessions": None}}


async def test_a_shard_that_is_away_costs_its_own_players_these_fields_alone(
    api: Api, clean: LocalCluster, players: list[int]
) -> None:
    bouncer = clean.child("pgbouncer", 1)
    await bouncer.stop()
    try:
        answered = await api.send("{ leaderboard(first: 100) { nodes { userId rank joinedAt } } }")
    finally:
        await bouncer.start()
    nodes = {int(node["userId"]): node for node in answered["data"]["leaderboard"]["nodes"]}
    assert {player for player, node in nodes.items() if node["joinedAt"] is None} == set(users_of_shard(1, 5))
    assert all(node["rank"] == 1 for node in nodes.values())
    assert {error["extensions"]["code"] for error in answered["errors"]} == {"UNAVAILABLE"}
    assert {error["path"][-1] for error in answered["errors"]} == {"joinedAt"}
    assert len(answered["errors"]) == 5
