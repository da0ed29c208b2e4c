"""The stock clients as they are: each asks, submits, watches, and is refused."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from gql import Client, GraphQLRequest, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from tests.acceptance.client import Api
from tests.live.node import CLIENTS, Clients, install_clients

GOT = {
    "before": {"leaderboard": {"nodes": []}},
    "seen": [{"entries": []}, {"entries": [{"userId": "42", "totalScore": 7}]}],
    "submitted": {"submitScore": {"duplicate": False, "standing": {"rank": 1, "totalScore": 7}}},
    "refused": ["first must lie between 1 and 100; got 0."],
}


@pytest.fixture(scope="session")
def clients() -> Clients:
    return install_clients()


@pytest.mark.parametrize(
    ("client", "way"),
    [
        ("graphql_ws", ""),
        ("graphql_sse", ""),
        ("apollo", "ws"),
        ("apollo", "http"),
        ("urql", "ws"),
        ("urql", "all-ws"),
        ("urql", "sse"),
    ],
)
async def test_of_node(api: Api, clients: Clients, client: str, way: str) -> None:
    assert json.loads(await clients.run(CLIENTS / f"{client}.mjs", api.url, way, str(api.credential))) == GOT


@pytest.mark.parametrize("client", ["apollo", "urql"])
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_persisted_queries_of_node(api: Api, clients: Clients, client: str, method: str) -> None:
    printed = json.loads(await clients.run(CLIENTS / "persisted.mjs", api.url, client, method))
    # Apollo sends the text by POST, whatever it sends hashes by.
    text = "POST" if client == "apollo" else method
    assert printed == {"sent": [f"{method} hash 200", f"{text} text 200", f"{method} hash 200"], "got": [0, 0]}


async def test_the_audits_of_graphql_http(served: Api, clients: Clients) -> None:
    audits = json.loads(await clients.run(CLIENTS / "audit.mjs", served.url))
    assert [audit for audit in audits if audit["status"] != "ok"] == []
    assert Counter(audit["name"].split()[0] for audit in audits) == {"MUST": 13, "SHOULD": 23, "MAY": 25}


async def test_of_python(api: Api) -> None:
    top = "query ($first: Int!) { leaderboard(first: $first) { nodes { userId totalScore } } }"
    watch = "subscription ($first: Int!) { topChanged(first: $first) { entries { userId totalScore } } }"
    submit = """
        mutation ($input: SubmitScoreInput!) {
            submitScore(input: $input) { duplicate standing { rank totalScore } }
        }
    """
    transport = WebsocketsTransport(
        url=f"{api.url.replace('http', 'ws')}/graphql",
        init_payload={"authorization": f"Bearer {api.credential}"},
    )
    seen: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    async with Client(transport=transport) as session, asyncio.timeout(20):
        two = {"first": 2}
        before = await session.execute(GraphQLRequest(top, variable_values=two))

        async def follow() -> None:
            async for data in session.subscribe(GraphQLRequest(watch, variable_values=two)):
                seen.put_nowait(data["topChanged"])

        following = asyncio.create_task(follow())
        shown = [await seen.get()]
        given = {"userId": "42", "username": "Ada", "score": 7}
        submitted = await session.execute(GraphQLRequest(submit, variable_values={"input": given}))
        shown.append(await seen.get())
        following.cancel()
        await asyncio.wait([following])
        with pytest.raises(TransportQueryError) as refusal:
            async for _ in session.subscribe(gql("subscription { topChanged(first: 0) { board } }")):
                pass
        assert refusal.value.errors is not None
        refused = [error["message"] for error in refusal.value.errors]
        # The connection goes on.
        assert await session.execute(gql("{ __typename }")) == {"__typename": "Query"}
    assert {"before": before, "seen": shown, "submitted": submitted, "refused": refused} == GOT
