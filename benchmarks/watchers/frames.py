"""As much of WebSocket as a client of the benchmark needs: requests are written whole, frames are read by hand."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A

_HELLO = (
    "GET /graphql HTTP/1.1\r\nhost: {host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
)


def hello(host: str) -> bytes:
    """What opens a socket."""
    return _HELLO.format(host=host).encode()


def subscribe(query: str, key: str) -> bytes:
    """What begins to watch on an open socket; who has no key may not do so often from one address."""
    messages = (
        {"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}},
        {"id": "1", "type": "subscribe", "payload": {"query": query}},
    )
    return b"".join(frame(TEXT, json.dumps(message).encode()) for message in messages)


def frame(kind: int, payload: bytes) -> bytes:
    """A frame of a client, of up to 64 KB; clients have to mask, and a mask of zeros is one."""
    return struct.pack("!BBH", kind, 0x80 | 126, len(payload)) + bytes(4) + payload


def split(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole frames at the start of what a server sent, as (kind, payload), and what is left."""
    frames = []
    start = 0
    for end, kind, body in _walk(data):
        frames.append((kind, data[body:end]))
        start = end
    return frames, data[start:]


def _walk(data: bytes) -> Iterator[tuple[int, int, int]]:
    position, size = 0, len(data)
    while size - position >= 2:
        kind, length = data[position], data[position + 1]
        body = position + 2
        if length == 126:
            body = position + 4
            if size < body:
                return
            (length,) = struct.unpack_from("!H", data, position + 2)
        elif length == 127:
            body = position + 10
            if size < body:
                return
            (length,) = struct.unpack_from("!Q", data, position + 2)
        position = body + length
        if size < position:
            return
        yield position, kind, body
