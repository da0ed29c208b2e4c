"""What a process refuses that has too much to do, and what it goes on serving."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from app.asgi import Application
from app.draining import Server
from app.server import listen, server_config
from app.shedding import Gatekeeper
from domain.resilience.admission import Admission
from tests.waiting import until

BODY = {
    "errors": [
        {
            "message": "The service has more to do than it can; try again with the same submissionId.",
            "extensions": {"code": "UNAVAILABLE", "retryAfter": 1},
        }
    ]
}
POST = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n"


class Slow:
    """An application that answers only when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/graphql":
            self.bodies.append((await receive())["body"])
            await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def post(self, body: str = "{}", more: str = "") -> None:
        self.writer.write((POST.format(length=len(body), more=more) + body).encode())

    async def read(self) -> tuple[str, dict[str, str], str]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        return head[0], headers, (await self.reader.readexactly(int(headers["content-length"]))).decode()


Connect = Callable[[], Any]


@pytest.fixture(autouse=True)
def none_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request is looked at."""
    monkeypatch.setattr("app.shedding.UNDER_WAY_FREE", 0)


@asynccontextmanager
async def serving(application: Slow, admission: Admission) -> AsyncIterator[Connect]:
    gatekeeper = Gatekeeper(admission)
    server = Server(server_config(cast(Application, application), gatekeeper, stop_s_max=1.0), gatekeeper)
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    task = asyncio.create_task(server.serve(sockets=[listening]))
    clients: list[Client] = []

    async def connect() -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", port)))
        return clients[-1]

    try:
        await until(lambda: server.started)
        yield connect
    finally:
        application.go_on.set()
        for client in clients:
            client.writer.close()
        server.should_exit = True
        await task


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
async def connect(slow: Slow) -> AsyncIterator[Connect]:
    async with serving(slow, Admission(least=2, usual=2, most=2, under_way_s_max=60)) as connect:
        clients = [await connect() for _ in range(2)]
        for client in clients:
            client.post()
        await until(lambda: len(slow.bodies) == 2)
        yield connect


async def test_what_is_too_much_is_refused_and_says_when_to_come_back(connect: Connect) -> None:
    client = await connect()
    client.post()
    status, headers, body = await client.read()
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert headers["retry-after"] == "1"
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert json.loads(body) == BODY


async def test_its_media_type_is_what_was_asked_for(connect: Connect) -> None:
    client = await connect()
    client.post(more="accept: application/graphql-response+json\r\n")
    _, headers, body = await client.read()
    assert headers["content-type"] == "application/graphql-response+json; charset=utf-8"
    assert json.loads(body) == BODY


async def test_to_rest_it_is_a_problem_and_to_head_a_head_alone(connect: Connect) -> None:
    client = await connect()
    for method, has_body in (("POST", True), ("HEAD", False), ("GET", True)):
        client.writer.write(f"{method} /api/leaderboard HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".encode())
        head = (await client.reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        assert head[0] == "http/1.1 503 service unavailable"
        assert (headers["content-type"], headers["retry-after"]) == ("application/problem+json", "1")
        if has_body:
            assert json.loads(await client.reader.readexactly(int(headers["content-length"]))) == {
                "type": "about:blank",
                "title": "Service Unavailable",
                "status": 503,
                "detail": "The service has more to do than it can; try again with the same submission_id.",
                "code": "UNAVAILABLE",
                "retry_after": 1,
            }


async def test_the_connection_is_good_for_another_request(connect: Connect, slow: Slow) -> None:
    client = await connect()
    for body in ("{}", "x" * 200_000, "{}"):
        client.post(body)
        assert (await client.read())[0] == "HTTP/1.1 503 Service Unavailable"
    slow.go_on.set()

    async def accepted() -> bool:
        client.post("last")
        return bool((await client.read())[0] == "HTTP/1.1 200 OK")

    await until(accepted)
    assert slow.bodies == [b"{}", b"{}", b"last"]


async def test_requests_sent_one_after_the_other_without_waiting_are_answered_in_order(
    connect: Connect, slow: Slow
) -> None:
    client = await connect()
    for _ in range(2_000):
        client.post()
    async with asyncio.timeout(20):
        answers = [await client.read() for _ in range(2_000)]
    assert {status for status, _, _ in answers} == {"HTTP/1.1 503 Service Unavailable"}
    assert slow.bodies == [b"{}", b"{}"]


async def test_those_that_wait_behind_an_accepted_one_are_refused_in_their_turn(slow: Slow) -> None:
    async with serving(slow, Admission(least=1, usual=1, most=1, under_way_s_max=60)) as connect:
        first, other = await connect(), await connect()
        for _ in range(1_000):
            first.post()
        await until(lambda: len(slow.bodies) == 1)
        other.post()
        assert (await other.read())[0].startswith("HTTP/1.1 503")
        slow.go_on.set()
        async with asyncio.timeout(20):
            answers = [(await first.read())[0] for _ in range(1_000)]
        assert answers[0] == "HTTP/1.1 200 OK"
        assert set(answers) <= {"HTTP/1.1 200 OK", "HTTP/1.1 503 Service Unavailable"}


async def test_a_client_that_wants_its_connection_closed_gets_that(connect: Connect) -> None:
    client = await connect()
    client.post(more="connection: close\r\n")
    status, headers, _ = await client.read()
    assert (status, headers["connection"]) == ("HTTP/1.1 503 Service Unavailable", "close")
    assert await client.reader.read() == b""


async def test_health_is_served_all_the_time(connect: Connect) -> None:
    client = await connect()
    client.writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await client.read())[0] == "HTTP/1.1 200 OK"


async def test_a_watcher_is_not_shed(connect: Connect, slow: Slow) -> None:
    client = await connect()
    client.post(more="accept: text/event-stream\r\n")
    await until(lambda: len(slow.bodies) == 3)


async def test_a_client_that_hangs_up_gives_its_place_back(slow: Slow) -> None:
    async with serving(slow, Admission(least=1, usual=1, most=1, under_way_s_max=0.2)) as connect:
        first = await connect()
        first.post()
        await until(lambda: len(slow.bodies) == 1)
        first.writer.close()
        slow.go_on.set()
        client = await connect()

        async def accepted() -> bool:
            client.post()
            return bool((await client.read())[0] == "HTTP/1.1 200 OK")

        await until(accepted)


async def test_a_process_with_little_to_do_refuses_nothing(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.shedding.UNDER_WAY_FREE", 3)
    async with serving(slow, Admission(least=1, usual=1, most=1, under_way_s_max=60)) as connect:
        clients = [await connect() for _ in range(5)]
        for number, client in enumerate(clients[:4], start=1):
            client.post()
            await until(lambda number=number: len(slow.bodies) == number)  # type: ignore[misc]
        clients[4].post()
        assert (await clients[4].read())[0] == "HTTP/1.1 503 Service Unavailable"
        slow.go_on.set()
        assert [(await client.read())[0] for client in clients[:4]] == ["HTTP/1.1 200 OK"] * 4
