"""Many watchers at once, as bare TCP connections: a client library would cost more than the service."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Sequence
from urllib.parse import urlsplit

from tests.live.sockets import INIT, SUBPROTOCOL, TOP

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_AT_ONCE = 100
_S_MAX = 20.0
_RESET = struct.pack("ii", 1, 0)


async def open_sockets(url: str, count: int) -> list[Connection]:
    """`count` WebSockets, each watching the top and shown it once."""
    hello = (
        "GET /graphql HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"sec-websocket-protocol: {SUBPROTOCOL}\r\n\r\n"
    ).encode()
    subscribe = {"id": "1", "type": "subscribe", "payload": {"query": TOP}}
    return await _open(url, count, [hello, _frame(INIT) + _frame(subscribe)], b'"type":"next"')


async def open_streams(url: str, count: int) -> list[Connection]:
    """`count` event streams, each watching the top and shown it once."""
    body = json.dumps({"query": TOP})
    request = (
        "POST /graphql HTTP/1.1\r\nhost: here\r\naccept: text/event-stream\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()
    return await _open(url, count, [request], b"event: next\n")


async def drop(connections: Sequence[Connection]) -> None:
    """Close them all, every other one by a reset as a machine that is switched off does."""
    for number, (_, writer) in enumerate(connections):
        if number % 2:
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        else:
            writer.close()
    # A reset is of course not an orderly end of the own half either.
    await asyncio.gather(*(writer.wait_closed() for _, writer in connections), return_exceptions=True)


async def _open(url: str, count: int, sent: Sequence[bytes], awaited: bytes) -> list[Connection]:
    address = urlsplit(url)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def open_one() -> Connection:
        async with gate, asyncio.timeout(_S_MAX):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            for number, part in enumerate(sent):
                if number:
                    # What follows is only understood once the first part was answered.
                    await reader.readuntil(b"\r\n\r\n")
                writer.write(part)
            await reader.readuntil(awaited)
            return reader, writer

    return list(await asyncio.gather(*(open_one() for _ in range(count))))


def _frame(message: object) -> bytes:
    """A text frame of less than 64 KB; clients have to mask, and a mask of zeros is one."""
    payload = json.dumps(message).encode()
    return b"\x81" + struct.pack("!BH", 0x80 | 126, len(payload)) + bytes(4) + payload
