"""What the service makes of messages that are wrong in their form: the protocol's close codes and a reason to read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.acceptance.client import Api, without_ids
from tests.live.sockets import INIT, SUBPROTOCOL, TOP, opened, ready

# Deeper than the service reads variables, and deeper than the reader of JSON goes.
DEEP = "[" * 400 + "]" * 400
TOO_DEEP = "[" * 5_000 + "]" * 5_000
NO_QUERY = "Invalid payload of subscribe: The entry `query` must hold the text of a GraphQL document."
NO_OBJECT = "Invalid payload of subscribe: The body must be one JSON object with the entry `query`, not a batch."
TOO_DEEP_REASON = "The message is not valid JSON: maximum recursion depth exceeded while deserializing an object."


def subscribe(payload: Any = None, operation_id: Any = "1", **fields: Any) -> dict[str, Any]:
    if payload is None:
        payload = {"query": TOP, **fields}
    return {"id": operation_id, "type": "subscribe", "payload": payload}


MALFORMED: dict[str, tuple[Any, str]] = {
    "nothing": ("", "The message is not valid JSON: Input data was truncated."),
    "no JSON": ("hello", "The message is not valid JSON: JSON is malformed: invalid character (byte 0)."),
    "two values": (
        '{"type":"ping"} 1',
        "The message is not valid JSON: JSON is malformed: trailing characters (byte 17).",
    ),
    "an entry twice": ('{"type":"ping","type":"ping"}', 'The message cannot be read: the entry "type" is there twice.'),
    "an entry of the payload twice": (
        '{"id":"1","type":"subscribe","payload":{"query":"{ a }","query":"{ b }"}}',
        'The message cannot be read: the entry "query" is there twice.',
    ),
    "NaN": (
        '{"id":"1","type":"subscribe","payload":{"query":NaN}}',
        "The message is not valid JSON: JSON is malformed: ",
    ),
    "a number as payload": ('{"id":"1","type":"subscribe","payload":5}', NO_OBJECT),
    "half a character": ('{"type":"ping","payload":{"a":"\\ud800"}}', "The message is not valid JSON: Input data was"),
    "a list": ([], "Invalid message: Expected `object`, got `array`."),
    "a string": ('"ping"', "Invalid message: Expected `object`, got `str`."),
    "a number": ("5", "Invalid message: Expected `object`, got `int`."),
    "null": ("null", "Invalid message: Expected `object`, got `null`."),
    "no type": ({}, "Invalid message: Object missing required field `type`."),
    "type of another type": ({"type": None}, "Invalid message: Expected `str` - at `$.type`."),
    "unknown type": ({"type": "hello"}, "Invalid message: Invalid value 'hello' - at `$.type`."),
    "a type of the older protocol": (
        {"id": "1", "type": "start", "payload": {"query": TOP}},
        "Invalid message: Invalid value 'start' - at `$.type`.",
    ),
    "a type that servers send": (
        {"id": "1", "type": "next", "payload": {}},
        "Invalid message: Invalid value 'next' - at `$.type`.",
    ),
    "no id": (
        {"type": "subscribe", "payload": {"query": TOP}},
        "Invalid message: Object missing required field `id`.",
    ),
    "complete without an id": ({"type": "complete"}, "Invalid message: Object missing required field `id`."),
    "empty id": (subscribe(operation_id=""), "Invalid message: Expected `str` of length >= 1 - at `$.id`."),
    "long id": (subscribe(operation_id="x" * 129), "Invalid message: Expected `str` of length <= 128 - at `$.id`."),
    "id of another type": (subscribe(operation_id=1), "Invalid message: Expected `str`, got `int` - at `$.id`."),
    "no payload": ({"id": "1", "type": "subscribe"}, "Invalid message: Object missing required field `payload`."),
    "null as payload": ('{"id":"1","type":"subscribe","payload":null}', NO_OBJECT),
    "a list as payload": (subscribe([{"query": TOP}]), NO_OBJECT),
    "a string as payload": (subscribe("x"), NO_OBJECT),
    "no query": (subscribe({}), NO_QUERY),
    "empty query": (subscribe(query=""), NO_QUERY),
    "query of another type": (subscribe(query=5), NO_QUERY),
    "variables of another type": (
        subscribe(variables=[]),
        "Invalid payload of subscribe: The entry `variables` must be an object or null.",
    ),
    "operationName of another type": (
        subscribe(operationName=5),
        "Invalid payload of subscribe: The entry `operationName` must be a string or null.",
    ),
    "extensions of another type": (
        subscribe(extensions="x"),
        "Invalid payload of subscribe: The entry `extensions` must be an object or null.",
    ),
    "init's payload of another type": (
        INIT | {"payload": 5},
        "Invalid message: Expected `object | null`, got `int` - at `$.payload`.",
    ),
    "ping's payload of another type": (
        {"type": "ping", "payload": [1]},
        "Invalid message: Expected `object | null` - at `$.payload`.",
    ),
    "a binary frame": (json.dumps(INIT).encode(), "Messages are JSON in text frames; got a binary one."),
    "too deep": (f'{{"type":"ping","payload":{{"a":{TOO_DEEP}}}}}', TOO_DEEP_REASON),
    "too deep a payload": (f'{{"id":"1","type":"subscribe","payload":{TOO_DEEP}}}', TOO_DEEP_REASON),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_message_closes_the_socket(served: Api, name: str) -> None:
    message, reason = MALFORMED[name]
    async with ready(served.url) as socket:
        await socket.send(message)
        code, said = await socket.closed()
    assert code == 4400
    assert said[: len(reason)] == reason[:123]


@pytest.mark.parametrize("name", MALFORMED)
async def test_also_as_the_first_one(served: Api, name: str) -> None:
    async with opened(served.url) as socket:
        await socket.send(MALFORMED[name][0])
        assert (await socket.closed())[0] in (4400, 4401)


@pytest.mark.parametrize("message", [subscribe(), subscribe(query="{ broken")])
async def test_nothing_runs_before_connection_init(served: Api, message: object) -> None:
    async with opened(served.url) as socket:
        await socket.send(message)
        assert await socket.closed() == (4401, "Unauthorized: say connection_init first.")


async def test_a_second_connection_init_is_one_too_many(served: Api) -> None:
    async with ready(served.url) as socket:
        await socket.send(INIT)
        assert await socket.closed() == (4429, "Too many initialisation requests.")


async def test_an_id_in_use_cannot_be_taken(served: Api) -> None:
    async with ready(served.url) as socket:
        await socket.subscribe("a", TOP)
        await socket.top("a")
        await socket.subscribe("a", TOP)
        assert await socket.closed() == (4409, "Subscriber for a already exists.")


async def test_a_reason_is_cut_between_characters(served: Api) -> None:
    # 62 characters of two bytes: with the words around them more than a close frame holds.
    taken = "ü" * 62
    async with ready(served.url) as socket:
        await socket.subscribe(taken, TOP)
        await socket.top(taken)
        await socket.subscribe(taken, TOP)
        code, reason = await socket.closed()
    assert code == 4409
    assert reason == f"Subscriber for {'ü' * 54}"


@pytest.mark.parametrize("offered", [("graphql-ws",), ("chat", "v2")])
async def test_another_subprotocol_is_not_spoken(served: Api, offered: tuple[str, ...]) -> None:
    async with opened(served.url, *offered) as socket:
        assert socket.connection.subprotocol is None
        assert await socket.closed() == (4406, f"Subprotocol not acceptable: use {SUBPROTOCOL}.")


async def test_without_a_subprotocol_neither(served: Api) -> None:
    async with opened(served.url, offers=False) as socket:
        assert (await socket.closed())[0] == 4406


async def test_the_subprotocol_is_found_among_others(served: Api) -> None:
    async with opened(served.url, "graphql-ws", SUBPROTOCOL) as socket:
        assert socket.connection.subprotocol == SUBPROTOCOL
        await socket.init()


TOO_LARGE = (1009, "A message may have 65536 bytes, or 1000000 with submitScores.")


async def test_a_message_of_more_than_64_kilobytes_is_too_big(served: Api) -> None:
    head = '{"type":"ping","payload":{"a":"'
    tail = '"}}'
    largest = f"{head}{'x' * (65_536 - len(head) - len(tail))}{tail}"
    async with ready(served.url) as socket:
        await socket.send(largest)
        assert (await socket.receive())["payload"] == json.loads(largest)["payload"]
        await socket.send(f"{largest} ")
        assert await socket.closed() == TOO_LARGE


async def test_an_operation_too(served: Api) -> None:
    async with ready(served.url) as socket:
        assert await socket.run("1", "{ __typename }", extensions={"x": "x" * 60_000}) == {
            "data": {"__typename": "Query"}
        }
        await socket.subscribe("1", "{ __typename }", extensions={"x": "x" * 66_000})
        assert await socket.closed() == TOO_LARGE


async def test_but_a_bulk_may_have_a_million(served: Api) -> None:
    query = "mutation ($inputs: [SubmitScoreInput!]!) { submitScores(inputs: $inputs) { error { code } } }"
    async with ready(served.url, credential=served.credential) as socket:
        answer = await socket.run("1", query, variables={"inputs": []}, extensions={"x": "x" * 990_000})
        assert answer["errors"][0]["message"] == "inputs must have 1 to 1000 entries; got 0."
        await socket.subscribe("1", query, variables={"inputs": []}, extensions={"x": "x" * 1_000_000})
        assert (await socket.closed())[0] == 1009


async def test_in_many_frames_it_is_too_big_as_well(served: Api) -> None:
    async def frames() -> Any:
        for _ in range(11):
            yield "x" * 100_000

    async with ready(served.url) as socket:
        await socket.connection.send(frames())
        assert (await socket.closed())[0] == 1009


async def test_text_that_is_no_utf8_ends_the_socket(served: Api) -> None:
    async with ready(served.url) as socket:
        await socket.connection.send(b"\xff\xfe", text=True)
        assert (await socket.closed())[0] == 1007


async def test_variables_too_deep_are_refused(served: Api) -> None:
    query = "subscription ($first: Int!) { topChanged(first: $first) { sequence } }"
    async with ready(served.url) as socket:
        await socket.send(
            f'{{"id":"1","type":"subscribe","payload":{{"query":"{query}","variables":{{"first":{DEEP}}}}}}}'
        )
        error = await socket.receive()
        assert (error["id"], error["type"]) == ("1", "error")
        assert without_ids(error["payload"]) == [
            {"message": "Variables may be nested 8 levels deep.", "extensions": {"code": "QUERY_TOO_COMPLEX"}}
        ]


@pytest.mark.parametrize("path", ["/", "/graphql/", "/health", "/nothing"])
async def test_elsewhere_no_socket_opens(served: Api, path: str) -> None:
    response = await served.http.get(
        path,
        headers={
            "connection": "upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        },
    )
    assert response.status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-websocket-version": "13"}, 400),
        ({"sec-websocket-version": "13", "sec-websocket-key": "short"}, 400),
        ({"sec-websocket-version": "8", "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA=="}, 400),
    ],
)
async def test_a_broken_handshake_is_a_bad_request(served: Api, headers: dict[str, str], status: int) -> None:
    response = await served.http.get("/graphql", headers={"connection": "upgrade", "upgrade": "websocket"} | headers)
    assert response.status_code == status
