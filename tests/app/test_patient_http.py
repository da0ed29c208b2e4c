"""Clients that send slowly, or nothing, hold no connection for longer than they are given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from app import lingering, patient_http
from app.draining import Server
from app.patient_http import HEAD_BYTES_MAX, HEADERS_MAX, PatientHttp
from app.server import listen
from app.shedding import Gatekeeper, SheddingProtocol
from domain.resilience.admission import Admission
from infra.local.ports import find_free_port
from tests.waiting import until
from wire.asgi import Endpoint, Receive, Scope, Send, send_whole

HEAD = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n"


async def count_body(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the length of the body once it has all of it, and not at all when the client is gone before."""
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        more = message["more_body"]
    body = b"%d" % length
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def served(application: Endpoint = count_body, **settings: Any) -> AsyncIterator[tuple[int, Server]]:
    port = find_free_port(set())
    config = uvicorn.Config(
        application, http=PatientHttp, lifespan="off", log_config=None, access_log=False, **settings
    )
    server = Server(config, Gatekeeper(Admission()))
    serving = asyncio.create_task(server.serve(sockets=[listen("127.0.0.1", port)]))
    await until(lambda: server.started)
    try:
        yield port, server
    finally:
        server.should_exit = True
        await serving


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def heard(self) -> bytes:
        """All until the service closes the connection."""
        async with asyncio.timeout(10):
            return await self.reader.read()

    async def answer(self) -> bytes:
        """One answer of `count_body`."""
        async with asyncio.timeout(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            return await self.reader.readexactly(length)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_http, "HEAD_S_MAX", 0.3)
    monkeypatch.setattr(patient_http, "BODY_S_MAX", 0.5)
    monkeypatch.setattr(lingering, "DROP_S_MAX", 0.5)


def refusal(heard: bytes) -> tuple[bytes, bytes]:
    head, _, body = heard.partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head
    assert b"content-length: %d" % len(body) in head
    return head.split(b"\r\n")[0], body


async def test_who_says_nothing_is_closed_without_a_word() -> None:
    async with served() as (port, server), connected(port) as silent:
        assert await silent.heard() == b""
        await until(lambda: not server.server_state.connections)


async def test_a_head_that_does_not_end_is_refused() -> None:
    async with served() as (port, server), connected(port) as slow:
        await slow.say(HEAD)
        assert refusal(await slow.heard()) == (
            b"HTTP/1.1 408 Request Timeout",
            b'{"errors":[{"message":"The head of a request must arrive within 0.3 s.",'
            b'"extensions":{"code":"BAD_USER_INPUT"}}]}',
        )
        await until(lambda: not server.server_state.connections)


async def test_nor_does_a_line_now_and_then_help() -> None:
    async with served() as (port, _), connected(port) as slow:
        await slow.say(HEAD)

        async def trickle() -> None:
            for number in range(1_000):
                await slow.say(b"x-%d: 1\r\n" % number)
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        try:
            assert (await slow.heard()).startswith(b"HTTP/1.1 408")
        finally:
            trickling.cancel()
            await asyncio.wait([trickling])


async def test_a_body_that_does_not_end_is_refused() -> None:
    async with served() as (port, server), connected(port) as slow:
        await slow.say(HEAD + b"\r\n12345")
        assert refusal(await slow.heard()) == (
            b"HTTP/1.1 408 Request Timeout",
            b'{"errors":[{"message":"The body of a request must arrive within 0.5 s.",'
            b'"extensions":{"code":"BAD_USER_INPUT"}}]}',
        )
        await until(lambda: not server.server_state.connections)
        await until(lambda: not server.server_state.tasks)


async def test_the_second_request_of_a_connection_has_the_same_time() -> None:
    async with served() as (port, _), connected(port) as client:
        for _ in range(3):
            await client.say(HEAD + b"\r\n1234567890")
            assert await client.answer() == b"10"
        await client.say(HEAD)
        assert (await client.heard()).startswith(b"HTTP/1.1 408")


async def test_a_connection_between_two_requests_lives_as_long_as_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    look = PatientHttp._look

    def counted(connection: PatientHttp) -> None:
        looked.append(connection)
        look(connection)

    monkeypatch.setattr(PatientHttp, "_look", counted)
    async with served(timeout_keep_alive=1.5) as (port, _), connected(port) as client:
        await client.say(HEAD + b"\r\n1234567890")
        assert await client.answer() == b"10"
        await until(lambda: len(looked) >= 3)
        await client.say(HEAD + b"\r\n1234567890")
        assert await client.answer() == b"10"
        assert await client.heard() == b""


async def test_blank_lines_are_no_request() -> None:
    async with served() as (port, server), connected(port) as client:
        await client.say(HEAD + b"\r\n1234567890")
        assert await client.answer() == b"10"
        await client.say(b"\r\n")
        assert await client.heard() == b""
        await until(lambda: not server.server_state.connections)


async def test_a_head_has_a_bound() -> None:
    async with served() as (port, _), connected(port) as client:
        # More than one read takes at once, and no end in sight.
        await client.say(b"GET /" + b"x" * HEAD_BYTES_MAX)
        await client.say(b"x")
        assert refusal(await client.heard())[0] == b"HTTP/1.1 431 Request Header Fields Too Large"


async def test_and_a_number_of_headers() -> None:
    headers = b"".join(b"x-%d: 1\r\n" % number for number in range(HEADERS_MAX - 2))
    async with served() as (port, _):
        async with connected(port) as client:
            await client.say(HEAD + headers + b"\r\n1234567890")
            assert await client.answer() == b"10"
        async with connected(port) as client:
            await client.say(HEAD + headers + b"one: more\r\n\r\n1234567890")
            status, body = refusal(await client.heard())
            assert status == b"HTTP/1.1 431 Request Header Fields Too Large"
            assert b"A request may have 100 headers." in body


async def refuse_unread(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send_whole(send, 413, [(b"connection", b"close")], b"too long")


@pytest.mark.parametrize("head", [HEAD.replace(b"10", b"100000000") + b"\r\n", b"no request\r\n"])
async def test_who_is_still_sending_reads_the_answer_nevertheless(head: bytes) -> None:
    async with served(refuse_unread) as (port, server), connected(port) as client:
        await client.say(head)
        # Bytes that the service has not read when it closes make a reset of it, without the answer, unless it lingers.
        await until(lambda: any(c.transport.is_closing() for c in server.server_state.connections))
        for _ in range(20):
            await client.say(b"x" * 65_536)
        assert (await client.heard()).startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 "))
        await until(lambda: not server.server_state.connections)


async def test_who_sends_for_ever_is_closed_all_the_same() -> None:
    async with served(refuse_unread) as (port, server), connected(port) as client:
        await client.say(HEAD.replace(b"10", b"100000000") + b"\r\n")

        async def send_for_ever() -> None:
            while True:
                await client.say(b"x" * 65_536)

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(send_for_ever(), 10)
        await until(lambda: not server.server_state.connections)


async def test_who_has_sent_all_is_closed_at_once() -> None:
    async with served(refuse_unread) as (port, server), connected(port) as client:
        await client.say(HEAD + b"\r\n1234567890")
        await until(lambda: server.server_state.total_requests == 1)
        await until(lambda: not server.server_state.connections)
        assert (await client.heard()).startswith(b"HTTP/1.1 413 ")


def test_the_service_is_served_so() -> None:
    assert issubclass(SheddingProtocol, PatientHttp)
