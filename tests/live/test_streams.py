"""Subscriptions and all else over Server-Sent Events."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any

import httpx
import pytest

from graph.live import stream as served_stream
from infra.local.cluster import LocalCluster
from tests.acceptance.client import SUBMIT, Api, stored, without_ids
from tests.live.inprocess import served_here
from tests.live.sockets import TOP, opened
from tests.live.streams import ACCEPT, Event, Stream, got, posted
from tests.waiting import until

TOTALS = "subscription ($first: Int!) { topChanged(first: $first) { entries { userId totalScore } } }"


async def until_shown(stream: Stream, *totals: int) -> dict[str, Any]:
    while True:
        change = await stream.top()
        if [entry["totalScore"] for entry in change["entries"]] == list(totals):
            return change


async def test_first_the_top_as_it_is_then_each_change(api: Api, other_api: Api) -> None:
    await api.submit(userId="1", username="Ada", score=1)
    async with posted(other_api.url, TOTALS, variables={"first": 2}) as stream:
        assert stream.response.status_code == 200
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.response.headers["cache-control"] == "no-cache"
        await until_shown(stream, 1)
        await api.submit(userId="1", username="Ada", score=1)
        assert await stream.top() == {"entries": [{"userId": "1", "totalScore": 2}]}
        await other_api.submit(userId="2", username="Bea", score=9)
        assert [entry["totalScore"] for entry in (await stream.top())["entries"]] == [9, 2]


async def test_a_browsers_event_source_watches_by_get(api: Api) -> None:
    async with got(api.url, TOTALS, variables='{"first": 1}') as stream:
        assert await stream.top() == {"entries": []}
        await api.submit(userId="1", username="Ada", score=1)
        assert await stream.top() == {"entries": [{"userId": "1", "totalScore": 1}]}


async def test_a_query_is_one_event_and_the_end(api: Api) -> None:
    await api.submit(userId="1", username='A "\n\u2028', score=1)
    query = "query ($id: ID!) { rank(userId: $id) { rank username } }"
    for stream_of in (
        posted(api.url, query, variables={"id": "1"}),
        got(api.url, query, variables='{"id": "1"}'),
    ):
        async with stream_of as stream:
            answer = await api.send(query, {"id": "1"})
            assert answer["data"]["rank"]["rank"] == 1
            assert await stream.event() == Event("next", answer)
            assert await stream.event() == Event("complete", None)
            assert await stream.event() is None


async def test_a_mutation_counts_and_is_one_event(api: Api) -> None:
    given = {"userId": "1", "username": "Ada", "score": 5}
    async with posted(
        api.url, SUBMIT, ACCEPT | {"authorization": f"Bearer {api.credential}"}, variables={"input": given}
    ) as stream:
        event = await stream.event()
        assert event is not None
        assert event.data["data"]["submitScore"]["standing"]["totalScore"] == 5
        assert await stream.event() == Event("complete", None)
    assert (await api.ask('{ rank(userId: "1") { totalScore } }'))["rank"] == {"totalScore": 5}


async def test_a_mutation_by_get_is_refused_and_counts_nothing(clean: LocalCluster, api: Api) -> None:
    before = await stored(clean)
    mutation = 'mutation { submitScore(input: {userId: "1", username: "Ada", score: 5}) { duplicate } }'
    async with got(api.url, mutation) as stream:
        assert stream.response.status_code == 405
        assert stream.response.headers["allow"] == "POST"
    assert await stored(clean) == before == []


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ nothing }", {}),
        ("subscription { topChanged {", {}),
        ("subscription { topChanged(first: 0) { sequence } }", {}),
        ('subscription { topChanged(board: "nope") { sequence } }', {}),
        ("subscription ($first: Int!) { topChanged(first: $first) { sequence } }", {"first": "ten"}),
        ("subscription ($first: [Int]) { topChanged(first: 1) { sequence } }", {"first": [[[[1]]]]}),
        ("{ leaderboard(first: 0) { totalCount } }", {}),
    ],
)
async def test_what_is_refused_is_one_event_with_errors_and_the_end(
    served: Api, query: str, variables: dict[str, Any]
) -> None:
    async with posted(served.url, query, variables=variables) as stream:
        event = await stream.event()
        assert event is not None
        assert event.name == "next"
        assert event.data.get("data") is None
        assert [error["extensions"]["code"] for error in event.data["errors"]] in (["BAD_USER_INPUT"], ["NOT_FOUND"])
        assert await stream.event() == Event("complete", None)
        assert await stream.event() is None


async def test_variables_too_deep_are_refused(served: Api) -> None:
    deep = "[" * 400 + "]" * 400
    body = f'{{"query":"subscription ($a: Int!) {{ topChanged(first: $a) {{ board }} }}","variables":{{"a":{deep}}}}}'
    response = await served.http.post("/graphql", content=body, headers=ACCEPT | {"content-type": "application/json"})
    assert response.status_code == 200
    assert "Variables may be nested 8 levels deep." in response.text


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"[]", 400), (b"{}", 400), (b'{"query":"{ __typename }","variables":[]}', 400)],
)
async def test_a_body_in_a_wrong_form_is_a_bad_request(served: Api, body: bytes, status: int) -> None:
    response = await served.http.post("/graphql", content=body, headers=ACCEPT | {"content-type": "application/json"})
    assert response.status_code == status
    assert without_ids(response.json())["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_a_subscription_that_asks_for_json_is_told_how_to_watch(served: Api) -> None:
    response = await served.http.post("/graphql", json={"query": TOP}, headers={"accept": "application/json"})
    assert response.status_code == 406
    assert "text/event-stream" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("accept", ["application/json, text/event-stream", "text/event-stream, */*;q=0.1"])
async def test_clients_that_take_both_get_what_fits(served: Api, accept: str) -> None:
    async with posted(served.url, TOP, headers={"accept": accept}) as stream:
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert "entries" in await stream.top()


async def test_a_quiet_stream_is_kept_alive_by_comments(clean: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_stream, "KEEP_ALIVE_S", 0.1)
    async with served_here(clean) as service, posted(service.url, TOP) as stream:
        assert (await stream.top())["entries"] == []
        for _ in range(3):
            assert await stream.event() == Event(None, None)


async def test_with_too_many_connections_it_says_when_to_come_again(clean: LocalCluster) -> None:
    async with served_here(clean, connections_max=2) as service:
        async with posted(service.url, TOP) as stream, opened(service.url):
            assert (await stream.top())["entries"] == []
            async with httpx.AsyncClient(base_url=service.url) as client:
                refused = await client.post("/graphql", json={"query": TOP}, headers=ACCEPT)
                # What is answered at once needs no room.
                answered = await client.post("/graphql", json={"query": "{ __typename }"}, headers=ACCEPT)
        assert refused.status_code == 503
        assert without_ids(refused.json()) == {
            "errors": [
                {
                    "message": "Too many connections are open; try again later.",
                    "extensions": {"code": "RATE_LIMITED", "retryAfter": 5},
                }
            ]
        }
        assert answered.text.startswith("event: next\n")
        await until(lambda: (service.connections, service.groups) == (0, 0))
        async with posted(service.url, TOP) as stream:
            assert (await stream.top())["entries"] == []


@pytest.mark.parametrize("abruptly", [False, True])
async def test_a_client_that_is_gone_leaves_nothing(clean: LocalCluster, abruptly: bool) -> None:
    body = json.dumps({"query": TOP})
    head = (
        "POST /graphql HTTP/1.1\r\nhost: here\r\naccept: text/event-stream\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    async with served_here(clean) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
        writer.write((head + body).encode())
        async with asyncio.timeout(5):
            await reader.readuntil(b"event: next\n")
        assert (service.connections, service.groups) == (1, 1)
        if abruptly:
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()
        await until(lambda: (service.connections, service.groups) == (0, 0))
        assert service.server.server_state.connections == set()
