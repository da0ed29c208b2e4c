"""A yardstick: the same server answering an empty route, in as many processes as the service.

`python -m benchmarks.empty_route PORT` is one such process; several share the port.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

Message = MutableMapping[str, Any]

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
}
_BODY = {"type": "http.response.body", "body": b"{}"}


async def answer_empty(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """The least an ASGI application can do."""
    if scope["type"] == "http":
        await send(_START)
        await send(_BODY)


async def serve(port: int) -> None:
    """Listens on `port` of the loopback until it is ended."""
    server = Server(
        answer_empty, port=port, interface=Interfaces.ASGI, http=HTTPModes.http1, log_enabled=False, websockets=False
    )
    await server.serve()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
