from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from db.schema import needed_revision, newest_revision
from infra.local.cluster import LocalCluster
from tests.acceptance.client import SUBMIT, Api
from tests.factories import users_of_shard
from tests.waiting import until

CONNECTED = {f"shard{n}": "connected" for n in (1, 2, 3, 4)}
SCHEMAS = {f"shard{n}": newest_revision() for n in (1, 2, 3, 4)}
SCHEMA = {"state": "current", "needed": needed_revision(), "known": newest_revision(), "shards": SCHEMAS}


async def health(api: Api) -> tuple[int, dict[str, Any]]:
    response = await api.http.get("/health")
    body = response.json()
    timestamp = datetime.fromisoformat(body.pop("timestamp"))
    assert abs(timestamp - datetime.now(UTC)) < timedelta(seconds=5)
    return response.status_code, body


async def healthy(api: Api) -> bool:
    return bool((await health(api))[1]["status"] == "healthy")


async def test_all_parts_answer(api: Api) -> None:
    assert await health(api) == (
        200,
        {"status": "healthy", "database": "connected", "redis": "connected", "shards": CONNECTED, "schema": SCHEMA},
    )


async def test_without_a_shard_its_own_players_alone_cannot_write(api: Api, clean: LocalCluster) -> None:
    (away,), (here,) = users_of_shard(2, 1), users_of_shard(3, 1)
    postgres = clean.child("postgres", 2)
    await postgres.stop()
    try:
        assert await health(api) == (
            200,
            {
                "status": "degraded",
                "database": "degraded",
                "redis": "connected",
                "shards": CONNECTED | {"shard2": "disconnected"},
                "schema": SCHEMA | {"shards": SCHEMAS | {"shard2": None}},
            },
        )
        code, message = await api.refused(SUBMIT, {"input": {"userId": str(away), "username": "a", "score": 1}})
        assert code == "UNAVAILABLE"
        assert "shard2" in message
        assert (await api.submit(userId=str(here), username="a", score=1))["standing"]["rank"] == 1
        results = await api.submit_many(
            [{"userId": str(user), "username": "a", "score": 1} for user in (here, away, here)]
        )
        assert [result["error"] and result["error"]["code"] for result in results] == [None, "UNAVAILABLE", None]
    finally:
        await postgres.start()
    await until(lambda: healthy(api))
    assert (await api.submit(userId=str(away), username="a", score=1))["duplicate"] is False


async def test_without_redis_sessions_are_recorded_and_ranks_come_from_the_shards(
    api: Api, clean: LocalCluster
) -> None:
    await api.submit(userId="1", username="a", score=10)
    valkey = clean.child("valkey")
    await valkey.stop()
    try:
        assert await health(api) == (
            200,
            {
                "status": "degraded",
                "database": "connected",
                "redis": "disconnected",
                "shards": CONNECTED,
                "schema": SCHEMA,
            },
        )
        standing = (await api.submit(userId="2", username="b", score=5))["standing"]
        assert (standing["rank"], standing["totalScore"], standing["percentile"]) == (2, 5, 50.0)
        data = await api.ask("{ rank(userId: 1) { rank } leaderboard { nodes { userId } totalCount } }")
        assert data == {
            "rank": {"rank": 1},
            "leaderboard": {"nodes": [{"userId": "1"}, {"userId": "2"}], "totalCount": 2},
        }
    finally:
        await valkey.start()
    await until(lambda: healthy(api))


async def test_without_any_shard_nothing_can_be_served(api: Api, clean: LocalCluster) -> None:
    bouncers = [clean.child("pgbouncer", number) for number in (1, 2, 3, 4)]
    for bouncer in bouncers:
        await bouncer.stop()
    try:
        status, body = await health(api)
        assert (status, body["status"], body["database"], body["redis"]) == (
            503,
            "unhealthy",
            "disconnected",
            "connected",
        )
    finally:
        for bouncer in bouncers:
            await bouncer.start()
    await until(lambda: healthy(api))
