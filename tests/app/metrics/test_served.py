"""`GET /metrics` of two API processes that share a port in production: one set of numbers, exact ones."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from domain.metrics.catalogue import METRICS
from infra.local.child import Child
from infra.local.cluster import LocalCluster
from ranking.keys import BoardKeys
from ranking.members import member_of
from tests.acceptance.client import SUBMIT
from tests.apis import clients_of, key_of, running_apis, until_ranks_are_whole, url_of
from tests.factories import users_of_shard
from tests.live.sockets import ready
from tests.waiting import until

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
async def both(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Child]]:
    """Two processes with numbers of their own."""
    directory = tmp_path_factory.mktemp("seen") / "metrics"
    variables = {"SHARDBOARD_METRICS_DIR": str(directory), "SHARDBOARD_DRIFT_INTERVAL_MS": "50"}
    async with running_apis(cluster, ("seen-one", "seen-other"), **variables) as children:
        yield children


@pytest.fixture
async def two(both: list[Child], clean: LocalCluster) -> list[Child]:
    """The same on a cluster without data."""
    for child in both:
        await child.until_ready()
    await until_ranks_are_whole(clean)
    return both


class Since:
    """How much counts have grown."""

    def __init__(self, child: Child, before: Samples) -> None:
        self._child = child
        self._before = before

    async def grown(self, name: str, **labels: str) -> float:
        """By how much one has."""
        now = value(await scrape(self._child), name, **labels) or 0.0
        return now - (value(self._before, name, **labels) or 0.0)

    async def answered(self, operation: str, code: str = "OK", protocol: str = "graphql") -> float:
        """How many requests were."""
        labels = {"protocol": protocol, "operation": operation, "code": code}
        return await self.grown("request_duration_seconds_count", **labels)


@pytest.fixture
async def since(two: list[Child]) -> list[Since]:
    """What each of the two processes tells of since the test began."""
    before = await scrape(two[0])
    return [Since(child, before) for child in two]


async def scrape(child: Child, **headers: str) -> Samples:
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{url_of(child)}/metrics", headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def directory_of(child: Child) -> Path:
    assert child.spec.environment is not None
    return Path(child.spec.environment["SHARDBOARD_METRICS_DIR"])


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"shardboard_{name}", frozenset(labels.items())))


async def test_submissions_are_counted_once_over_both_processes(two: list[Child], since: list[Since]) -> None:
    async with clients_of(two) as (one, other):
        users = [user for shard in (1, 2, 3, 4) for user in users_of_shard(shard, 10)]
        await asyncio.gather(
            *(api.submit(userId=str(user), username="a", score=1) for api in (one, other) for user in users)
        )
        await one.submit_many([{"userId": str(user), "username": "a", "score": 1} for user in users])
        await one.refused(SUBMIT, {"input": {"userId": "x", "username": "a", "score": 1}})
        async with httpx.AsyncClient() as nobody:
            body = {"query": 'mutation { submitScore(input: {userId: 1, username: "a", score: 1}) { duplicate } }'}
            await nobody.post(f"{url_of(two[1])}/graphql", json=body)
    for seen in since:
        assert await seen.answered("submitScore") == 80
        assert await seen.answered("submitScores") == 1
        assert await seen.answered("submitScore", "BAD_USER_INPUT") == 1
        assert await seen.answered("submitScore", "UNAUTHENTICATED") == 1
        assert await seen.grown("refusals_total", reason="access") == 1
        for shard in ("shard1", "shard2", "shard3", "shard4"):
            assert await seen.grown("batch_size_sum", shard=shard) == 30
            flushes = await seen.grown("flush_duration_seconds_count", shard=shard)
            assert flushes == await seen.grown("batch_size_count", shard=shard)
            assert 3 <= flushes <= 30


async def test_what_has_no_name_of_its_own_is_other(two: list[Child], since: list[Since]) -> None:
    async with clients_of(two) as (one, _):
        await one.ask("{ a: rank(userId: 1) { rank } b: rank(userId: 2) { rank } }")
        await one.ask("{ rank(userId: 1) { rank } leaderboard { totalCount } }")
        await one.ask("{ __schema { queryType { name } } }")
        for number in range(50):
            await one.send(f"query q{number} {{ nothing{number} }}")
    assert await since[0].answered("rank") == 1
    assert await since[0].answered("other") == 2
    assert await since[0].answered("other", "BAD_USER_INPUT") == 50
    found = [dict(labels) for _, labels in await scrape(two[0])]
    operations = {labels["operation"] for labels in found if labels.get("protocol") == "graphql"}
    assert operations <= {"leaderboard", "rank", "submitScore", "submitScores", "topChanged", "other"}


async def test_rest_is_measured_by_its_routes(two: list[Child], since: list[Since]) -> None:
    async with clients_of(two) as (one, _):
        for user in (1, 2, 3):
            response = await one.http.get(f"/api/users/{user}/rank", headers={"x-request-id": f"mine-{user}"})
            assert response.headers["x-request-id"] == response.json()["id"] == f"mine-{user}"
        response = await one.http.get("/api/leaderboard")
        assert response.status_code == 200
        assert len(response.headers["x-request-id"]) == 32
        await one.http.get("/api/nothing")
    assert await since[1].answered("/api/users/{user_id}/rank", "NOT_FOUND", protocol="rest") == 3
    assert await since[1].answered("/api/leaderboard", protocol="rest") == 1
    assert await since[1].answered("other", "NOT_FOUND", protocol="rest") == 1


async def test_answers_at_hand_are_hits(two: list[Child], since: list[Since]) -> None:
    async with clients_of(two) as (one, other):
        for api in (one, one, one, other):
            await api.send("{ leaderboard { totalCount } }")
    assert await since[1].grown("answer_cache_total", result="hit") == 2
    assert await since[1].grown("answer_cache_total", result="miss") == 2
    assert await since[1].answered("leaderboard") == 4


async def test_json_has_five_numbers(two: list[Child]) -> None:
    async with clients_of(two) as (one, other):
        for api in (one, other):
            for user in range(7):
                await api.submit(userId=str(user), username="a", score=1)

        async def numbers() -> dict[str, Any]:
            async with httpx.AsyncClient() as client:
                response = await client.get(f"{other.url}/metrics", headers={"accept": "application/json"})
            assert response.headers["content-type"] == "application/json"
            return dict(response.json())

        async def counted() -> bool:
            return bool((await numbers())["active_users"] == 7)

        await until(counted)
        found = await numbers()
    assert list(found) == [
        "requests_per_second",
        "avg_response_time_ms",
        "cache_hit_rate",
        "database_connections",
        "active_users",
    ]
    assert found["requests_per_second"] > 0
    assert found["avg_response_time_ms"] > 0
    assert 0 <= found["cache_hit_rate"] <= 1
    assert found["database_connections"] >= 8
    samples = await scrape(two[0])
    assert value(samples, "active_players") == 7


async def test_gauges_of_a_killed_process_vanish_and_its_counts_stay(two: list[Child], since: list[Since]) -> None:
    async with clients_of(two) as apis:
        for api in apis:
            await api.submit(userId="1", username="a", score=1)

        async def processes() -> float | None:
            return value(await scrape(two[0]), "processes")

        async def are_two() -> bool:
            return await processes() == 2

        async with ready(apis[1].url, credential=key_of(two[1])) as socket:
            await socket.subscribe("a", "subscription { topChanged { sequence } }")

            async def are_watched() -> bool:
                return value(await scrape(two[0]), "watchers", transport="websocket") == 1

            await until(are_watched)
            await until(are_two)
            os.kill(two[1].pid, signal.SIGKILL)

            async def is_one() -> bool:
                return await processes() == 1

            await until(is_one)
        samples = await scrape(two[0])
        assert value(samples, "watchers", transport="websocket") == 0
        assert await since[0].answered("submitScore") == 2
        assert await since[0].answered("topChanged", protocol="websocket") == 1
        # It comes back by itself, and counts on where it was killed.
        await until(are_two)
        await two[1].until_ready()
        assert await since[1].answered("submitScore") == 2
        await apis[1].submit(userId="1", username="a", score=1)
        assert await since[0].answered("submitScore") == 3
        assert len(list(directory_of(two[0]).glob("*.cells"))) == 2


async def test_the_parts_are_seen(two: list[Child], clean: LocalCluster) -> None:
    async def seen() -> bool:
        samples = await scrape(two[0])
        return all(
            value(samples, "partitions_ahead", shard=f"shard{n}") == 3
            and value(samples, "shard_up", shard=f"shard{n}") == 1
            and value(samples, "relay_lag_rows", shard=f"shard{n}") == 0
            and (value(samples, "relay_lag_seconds", shard=f"shard{n}") or 0) < 2
            for n in (1, 2, 3, 4)
        )

    await until(seen)
    samples = await scrape(two[0])
    assert value(samples, "redis_up") == 1
    phases = {dict(labels)["state"] for name, labels in samples if name == "shardboard_bucket_moves"}
    assert phases == {"planned", "copying", "following", "switched", "done", "aborting", "aborted"}
    # Every metric has been given a value, and those with labels a bounded number.
    names = {name.removesuffix("_sum").removesuffix("_total") for name, _ in samples}
    missing = {metric.name for metric in METRICS} - names
    assert missing <= _NOT_ALWAYS
    valkey = clean.child("valkey")
    await valkey.stop()
    try:

        async def is_down() -> bool:
            samples = await scrape(two[0])
            return value(samples, "redis_up") == 0 and (value(samples, "relay_lag_seconds", shard="shard1") or 0) > 1

        await until(is_down)
    finally:
        await valkey.start()


# What needs requests, watchers or replicas to have a value.
_NOT_ALWAYS = {
    "shardboard_request_duration_seconds",
    "shardboard_refusals",
    "shardboard_answer_cache",
    "shardboard_batch_size",
    "shardboard_flush_duration_seconds",
    "shardboard_fanout_duration_seconds",
    "shardboard_active_players",
    "shardboard_replica_lag_seconds",
    "shardboard_replica_used",
}


async def test_standings_that_redis_has_otherwise_are_seen(two: list[Child], clean: LocalCluster) -> None:
    async with clients_of(two) as (one, _):
        for user in (1, 2, 3):
            await one.submit(userId=str(user), username="a", score=user)

    async def drift() -> float | None:
        return value(await scrape(two[0]), "projection_drift", board="global")

    async def is_none() -> bool:
        return await drift() == 0

    async def are_two() -> bool:
        return await drift() == 2

    await until(is_none)
    keys = BoardKeys("global")
    async with Redis.from_url(clean.redis_url) as redis:
        await redis.zrem(keys.ranks, member_of(1))
        await redis.zadd(keys.ranks, {member_of(2): -77})
        await until(are_two)
        await redis.zadd(keys.ranks, {member_of(1): -1, member_of(2): -2})
    await until(is_none)


async def test_one_line_a_request(two: list[Child]) -> None:
    (user,) = users_of_shard(3, 1)
    begins_at = two[0].spec.log.stat().st_size
    async with clients_of(two) as (one, _):
        hostile = 'a\n{"event": "forged"}\u2028\x1b[2J\u202e'
        response = await one.http.post(
            "/graphql",
            json={"query": SUBMIT, "variables": {"input": {"userId": str(user), "username": "a", "score": 1}}},
            headers={"x-request-id": "mine-1"},
        )
        assert response.headers["x-request-id"] == "mine-1"
        response = await one.http.post(
            "/graphql", json={"query": "{ nothing }", "operationName": hostile}, headers={"x-request-id": "no good!"}
        )
        own_id = response.headers["x-request-id"]
        assert own_id != "no good!"
        (error,) = response.json()["errors"]
        assert error["extensions"]["id"] == own_id
        for _ in range(2):
            await one.send("{ leaderboard { totalCount } }")
        key = one.credential
    text = two[0].spec.log.read_bytes()[begins_at:].decode()
    lines = [json.loads(line) for line in text.splitlines()]
    requests = [line for line in lines if line["logger"] == "shardboard.requests"]
    assert all(line["event"] == "request" and line["duration_ms"] > 0 for line in requests)
    submitted, refused, read, again = requests
    assert {
        name: submitted[name]
        for name in ("request_id", "level", "protocol", "operation", "code", "shard", "batch_rows")
    } == {
        "request_id": "mine-1",
        "level": "info",
        "protocol": "graphql",
        "operation": "submitScore",
        "code": "OK",
        "shard": "shard3",
        "batch_rows": 1,
    }
    assert (refused["request_id"], refused["operation"], refused["code"]) == (own_id, "other", "BAD_USER_INPUT")
    assert [line["cache_hit"] for line in (read, again)] == [False, True]

    assert key is not None
    assert key not in text
    assert "forged" not in text


async def test_who_may_read(two: list[Child], clean: LocalCluster) -> None:
    url = f"{url_of(two[0])}/metrics"
    admin, server = clean.identity.admin_key, clean.identity.server_key

    async def status(**headers: str) -> int:
        async with httpx.AsyncClient() as client:
            return (await client.get(url, headers=headers)).status_code

    assert await status() == 200
    assert await status(Authorization=f"Bearer {admin}") == 200
    # Who shows a credential is judged by it, wherever it comes from.
    assert await status(Authorization=f"Bearer {server}") == 403
    # A proxy on this machine that nobody vouches for lets the whole world in.
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
        assert await status(**{name: "127.0.0.1"}) == 403
    assert await status(**{"X-Forwarded-For": "192.0.2.1", "Authorization": f"Bearer {admin}"}) == 200
    assert await status(**{"X-Forwarded-For": "192.0.2.1", "Authorization": f"Bearer {server}"}) == 403
    assert await status(**{"X-Forwarded-For": "192.0.2.1", "Authorization": "Bearer nobody's"}) == 401
