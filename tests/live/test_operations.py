"""Queries, mutations and refusals over WebSocket, and what a client may say besides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.local.cluster import LocalCluster
from tests.acceptance.client import SUBMIT, Api, stored, without_ids
from tests.live.sockets import TOP, opened, ready
from tests.waiting import until

RANK = "query Rank($userId: ID!) { rank(userId: $userId) { rank totalScore } }"


async def test_a_query_is_answered_and_completed(api: Api) -> None:
    await api.submit(userId="42", username="Ada", score=7)
    async with ready(api.url, credential=api.credential) as socket:
        answer = await socket.run("1", RANK, variables={"userId": "42"}, operationName="Rank")
    assert answer == {"data": {"rank": {"rank": 1, "totalScore": 7}}}


async def test_a_mutation_is_answered_and_counts(api: Api) -> None:
    async with ready(api.url, credential=api.credential) as socket:
        given = {"userId": "42", "username": "Ada", "score": 7}
        payload = (await socket.run("1", SUBMIT, variables={"input": given}))["data"]["submitScore"]
    assert payload["standing"] | {"lastPlayed": None} == {
        "rank": 1,
        "userId": "42",
        "username": "Ada",
        "totalScore": 7,
        "gamesPlayed": 1,
        "lastPlayed": None,
        "percentile": 100.0,
    }
    assert (await api.ask(RANK, {"userId": "42"})) == {"rank": {"rank": 1, "totalScore": 7}}


async def test_answers_come_as_they_are_ready_under_their_ids(api: Api) -> None:
    await api.submit_many([{"userId": str(n), "username": "Ada", "score": n} for n in range(1, 41)])
    async with ready(api.url, credential=api.credential) as socket:
        for number in range(1, 41):
            await socket.subscribe(f"id {number}", RANK, variables={"userId": str(number)})
        answers: dict[str, list[dict[str, Any]]] = {}
        for _ in range(80):
            message = await socket.receive()
            answers.setdefault(message.pop("id"), []).append(message)
    assert answers == {
        f"id {number}": [
            {"type": "next", "payload": {"data": {"rank": {"rank": 41 - number, "totalScore": number}}}},
            {"type": "complete"},
        ]
        for number in range(1, 41)
    }


async def test_the_same_query_over_http_and_over_a_socket_has_the_same_answer(api: Api) -> None:
    await api.submit(userId="1", username='Ada "\\ 𝄞', score=7)
    query = "{ leaderboard(first: 3) { nodes { rank username lastPlayed percentile } totalCount } }"
    async with ready(api.url, credential=api.credential) as socket:
        assert await socket.run('an "id" \\ 𝄞', query) == await api.send(query)


async def test_a_field_that_fails_is_a_result_with_errors(api: Api) -> None:
    query = "{ leaderboard(first: 101) { totalCount } }"
    async with ready(api.url, credential=api.credential) as socket:
        answer = without_ids(await socket.run("1", query))
    assert answer == without_ids(await api.send(query))
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize(
    "query",
    [
        "{ leaderboard { totalCount }",
        "{ nothing }",
        "subscription { nothing }",
        "subscription { topChanged { sequence nothing } }",
        "subscription { topChanged { entries } }",
        'subscription { topChanged(first: "ten") { sequence } }',
        "subscription { topChanged { sequence } more: topChanged { sequence } }",
        "subscription A { topChanged { sequence } } subscription B { topChanged { sequence } }",
        "fragment f on TopChange { sequence }",
        "",
    ],
)
async def test_a_document_that_is_not_valid_is_an_error(served: Api, query: str) -> None:
    query = query or f"subscription {{ {' '.join(f'a{n}: topChanged {{ sequence }}' for n in range(300))} }}"
    async with ready(served.url) as socket:
        errors = without_ids(await socket.refused("1", query))
        assert errors == without_ids(await served.send(query))["errors"]
        assert {error["extensions"]["code"] for error in errors} <= {"BAD_USER_INPUT", "QUERY_TOO_COMPLEX"}
        # The id is free, the socket goes on.
        assert await socket.run("1", "{ __typename }") == {"data": {"__typename": "Query"}}


WITH_FIRST = "subscription ($first: Int!) { topChanged(first: $first) { sequence } }"


@pytest.mark.parametrize(
    ("query", "variables", "code", "message"),
    [
        (
            "subscription { topChanged(first: 0) { sequence } }",
            {},
            "BAD_USER_INPUT",
            "first must lie between 1 and 100; got 0.",
        ),
        (WITH_FIRST, {"first": 101}, "BAD_USER_INPUT", "first must lie between 1 and 100; got 101."),
        (
            'subscription { topChanged(board: "nope") { sequence } }',
            {},
            "NOT_FOUND",
            "There is no board 'nope'; the board 'global' always exists.",
        ),
        (
            WITH_FIRST,
            {"first": "ten"},
            "BAD_USER_INPUT",
            "Variable '$first' has invalid value: Int cannot represent non-integer value: 'ten'",
        ),
        (
            WITH_FIRST,
            {"first": None},
            "BAD_USER_INPUT",
            "Variable '$first' has invalid value: Expected value of non-null type 'Int!' not to be None.",
        ),
        (
            WITH_FIRST,
            {},
            "BAD_USER_INPUT",
            "Variable '$first' has invalid value: Expected a value of non-null type 'Int!' to be provided.",
        ),
    ],
)
async def test_a_subscription_that_is_refused_is_an_error(
    served: Api, query: str, variables: dict[str, Any], code: str, message: str
) -> None:
    async with ready(served.url) as socket:
        (error,) = without_ids(await socket.refused("1", query, variables=variables))
        assert (error["extensions"], error["message"]) == ({"code": code}, message)
        assert await socket.run("1", "{ __typename }") == {"data": {"__typename": "Query"}}


async def test_an_operation_is_chosen_by_its_name(api: Api) -> None:
    document = "subscription Top { topChanged { entries { userId } } } query Type { __typename }"
    async with ready(api.url, credential=api.credential) as socket:
        assert await socket.run("1", document, operationName="Type") == {"data": {"__typename": "Query"}}
        await socket.subscribe("2", document, operationName="Top")
        assert await socket.next("2") == {"data": {"topChanged": {"entries": []}}}
        (error,) = await socket.refused("3", document, operationName="None")
        assert error["message"] == "Unknown operation named 'None'."


async def test_what_is_completed_is_heard_of_no_more_and_its_id_is_free(api: Api) -> None:
    async with ready(api.url, credential=api.credential) as socket:
        await socket.subscribe("1", TOP)
        assert (await socket.top("1"))["entries"] == []
        await socket.complete("1")
        await socket.subscribe("1", "subscription { topChanged(first: 1) { entries { totalScore } } }")
        assert await socket.top("1") == {"entries": []}
        await api.submit(userId="1", username="Ada", score=1)
        assert await socket.top("1") == {"entries": [{"totalScore": 1}]}


async def test_completing_what_is_not_there_does_nothing(served: Api) -> None:
    async with ready(served.url) as socket:
        await socket.complete("never begun")
        assert await socket.run("1", "{ __typename }") == {"data": {"__typename": "Query"}}
        await socket.complete("1")
        assert await socket.run("1", "{ __typename }") == {"data": {"__typename": "Query"}}


async def test_a_mutation_that_is_completed_early_counts_all_the_same(clean: LocalCluster, api: Api) -> None:
    given = {"userId": "42", "username": "Ada", "score": 7}
    async with ready(api.url, credential=api.credential) as socket:
        await socket.subscribe("1", SUBMIT, variables={"input": given})
        await socket.complete("1")
        # Its id is another operation's, which hears nothing of it.
        assert await socket.run("1", "{ __typename }") == {"data": {"__typename": "Query"}}

        async def counted() -> bool:
            return any('"total_score":7' in row for row in await stored(clean))

        await until(counted)
        assert await socket.run("2", RANK, variables={"userId": "42"}) == {
            "data": {"rank": {"rank": 1, "totalScore": 7}}
        }


@pytest.mark.parametrize("payload", [{"at": [1, None, "é"], "deep": {}}, {}])
async def test_a_ping_gets_its_payload_back(served: Api, payload: dict[str, Any]) -> None:
    async with opened(served.url) as socket:
        # Also before connection_init.
        await socket.send({"type": "ping", "payload": payload})
        assert await socket.receive() == {"type": "pong", "payload": payload}


@pytest.mark.parametrize("message", ['{"type":"ping"}', '{"type":"ping","payload":null}'])
async def test_a_ping_without_a_payload_gets_none_back(served: Api, message: str) -> None:
    async with ready(served.url) as socket:
        await socket.send(message)
        assert await socket.receive() == {"type": "pong"}


async def test_numbers_and_depths_of_a_ping_are_no_concern_of_the_service(served: Api) -> None:
    payload = f'{{"number":{"9" * 40},"deep":{"[" * 400}{"]" * 400}}}'
    async with ready(served.url) as socket:
        await socket.send(f'{{"type":"ping","payload":{payload}}}')
        assert await socket.receive() == {"type": "pong", "payload": json.loads(payload)}


async def test_pongs_that_nobody_asked_for_and_further_entries_are_ignored(served: Api) -> None:
    async with ready(served.url) as socket:
        await socket.send({"type": "pong", "payload": {"a": 1}})
        await socket.send({"type": "pong", "more": 1})
        assert await socket.run("1", "{ __typename }") == {"data": {"__typename": "Query"}}


async def test_a_websocket_ping_is_answered(served: Api) -> None:
    async with ready(served.url) as socket:
        assert await (await socket.connection.ping()) >= 0


async def test_the_payload_of_connection_init_may_hold_anything(served: Api) -> None:
    async with opened(served.url) as socket:
        await socket.send({"type": "connection_init", "payload": {"app": "x", "headers": 7, "n": [1]}})
        assert await socket.receive() == {"type": "connection_ack"}
