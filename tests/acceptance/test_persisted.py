"""Automatic persisted queries over HTTP, event streams and sockets, as Apollo's clients speak them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from redis.asyncio import Redis

from infra.local.cluster import LocalCluster
from ranking.keys import DOCUMENTS_TEXTS
from tests.acceptance.client import Api, without_ids
from tests.live.sockets import ready
from tests.waiting import until

TOP = "query ($first: Int!) { leaderboard(first: $first) { totalCount } }"
WATCH = "subscription ($first: Int!) { topChanged(first: $first) { entries { rank } } }"
VARIABLES = {"first": 3}
NOT_FOUND = {"errors": [{"message": "PersistedQueryNotFound", "extensions": {"code": "NOT_FOUND"}}]}
EMPTY = {"data": {"leaderboard": {"totalCount": 0}}}


def named(query: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(query.encode()).hexdigest()}}


def parameters(query: str, *, sent: bool = False) -> dict[str, str]:
    text = {"query": query} if sent else {}
    return {"extensions": json.dumps(named(query)), "variables": json.dumps(VARIABLES), **text}


async def until_shared(cluster: LocalCluster, query: str) -> None:
    async with Redis.from_url(cluster.redis_url) as redis:

        async def shared() -> bool:
            return bool(await redis.hexists(DOCUMENTS_TEXTS, hashlib.sha256(query.encode()).hexdigest()))

        await until(shared)


async def test_over_post_once_sent_every_process_knows_it(api: Api, other_api: Api, clean: LocalCluster) -> None:
    body = {"extensions": named(TOP), "variables": VARIABLES}
    for accept in ("application/json", "application/graphql-response+json"):
        response = await api.http.post("/graphql", json=body, headers={"accept": accept})
        assert (response.status_code, without_ids(response.json())) == (200, NOT_FOUND)
    assert (await api.http.post("/graphql", json={"query": TOP, **body})).json() == EMPTY
    assert (await api.http.post("/graphql", json=body)).json() == EMPTY
    await until_shared(clean, TOP)
    assert (await other_api.http.post("/graphql", json=body)).json() == EMPTY


async def test_over_get(api: Api) -> None:
    query = TOP + " "
    headers = {"graphql-require-preflight": "1"}
    unknown = await api.http.get("/graphql", params=parameters(query), headers=headers)
    assert without_ids(unknown.json()) == NOT_FOUND
    assert (await api.http.get("/graphql", params=parameters(query, sent=True), headers=headers)).json() == EMPTY
    assert (await api.http.get("/graphql", params=parameters(query), headers=headers)).json() == EMPTY
    mutation = 'mutation { submitScore(input: {userId: 1, username: "a", score: 1}) { duplicate } }'
    await api.http.post("/graphql", json={"query": mutation, "extensions": named(mutation)})
    by_get = await api.http.get("/graphql", params={"extensions": json.dumps(named(mutation))}, headers=headers)
    assert by_get.status_code == 405


async def test_over_event_streams(api: Api) -> None:
    events = {"accept": "text/event-stream"}
    refused = await api.http.get("/graphql", params=parameters(WATCH), headers=events)
    assert without_ids(json.loads(refused.text.split("data: ")[1].split("\n")[0])) == NOT_FOUND
    for given in (parameters(WATCH, sent=True), parameters(WATCH)):
        async with api.http.stream("GET", "/graphql", params=given, headers=events) as response:
            lines = response.aiter_lines()
            assert await anext(lines) == "event: next"
            assert await anext(lines) == 'data: {"data":{"topChanged":{"entries":[]}}}'


async def test_over_sockets(api: Api) -> None:
    query, watch = TOP + "  ", WATCH + "  "
    async with ready(api.url) as socket:
        for text in (query, watch):
            await socket.send(
                {"id": "1", "type": "subscribe", "payload": {"extensions": named(text), "variables": VARIABLES}}
            )
            error = await socket.receive()
            assert (error["id"], error["type"]) == ("1", "error")
            assert without_ids(error["payload"]) == NOT_FOUND["errors"]
        assert await socket.run("1", query, variables=VARIABLES, extensions=named(query)) == EMPTY
        await socket.send(
            {"id": "2", "type": "subscribe", "payload": {"extensions": named(query), "variables": VARIABLES}}
        )
        assert await socket.next("2") == EMPTY
        assert (await socket.receive())["type"] == "complete"
        await socket.subscribe("3", watch, variables=VARIABLES, extensions=named(watch))
        assert await socket.next("3") == {"data": {"topChanged": {"entries": []}}}
        await socket.send(
            {"id": "4", "type": "subscribe", "payload": {"extensions": named(watch), "variables": VARIABLES}}
        )
        assert await socket.next("4") == {"data": {"topChanged": {"entries": []}}}


async def test_a_document_that_is_refused_is_not_kept(api: Api, clean: LocalCluster) -> None:
    broken = "{ nothing }"
    body = {"query": broken, "extensions": named(broken)}
    for _ in range(2):
        answer = (await api.http.post("/graphql", json=body)).json()
        assert answer["errors"][0]["message"] == "Cannot query field 'nothing' on type 'Query'."
    unknown = await api.http.post("/graphql", json={"extensions": named(broken)})
    assert without_ids(unknown.json()) == NOT_FOUND
    async with Redis.from_url(clean.redis_url) as redis:
        assert not await redis.exists(DOCUMENTS_TEXTS)


@pytest.mark.parametrize(
    ("extensions", "message"),
    [
        ({"persistedQuery": 5}, "The entry `extensions.persistedQuery` must be an object of `version` 1."),
        (
            {"persistedQuery": {"version": 2, "sha256Hash": "a"}},
            "The entry `extensions.persistedQuery` must be an object of `version` 1.",
        ),
        (
            {"persistedQuery": {"version": 1}},
            "`extensions.persistedQuery.sha256Hash` must have 1 to 128 characters.",
        ),
        (
            {"persistedQuery": {"version": 1, "sha256Hash": "a" * 129}},
            "`extensions.persistedQuery.sha256Hash` must have 1 to 128 characters.",
        ),
    ],
)
async def test_a_malformed_name_is_refused(api: Api, extensions: dict[str, Any], message: str) -> None:
    for query in ({}, {"query": TOP}):
        response = await api.http.post("/graphql", json={"extensions": extensions, **query})
        assert response.status_code == 400
        assert response.json()["errors"][0]["message"] == message


async def test_a_hash_of_another_document_is_refused(api: Api) -> None:
    answer = await api.send(TOP, VARIABLES, extensions=named("{ __typename }"))
    assert without_ids(answer) == {
        "errors": [
            {
                "message": "The document does not have the hash that was sent with it.",
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ]
    }
