"""The client's half of graphql-transport-ws, without any comfort: what is sent is what a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

SUBPROTOCOL = "graphql-transport-ws"
ANSWER_S_MAX = 10.0
INIT = {"type": "connection_init"}
TOP = "subscription { topChanged { sequence entries { rank userId totalScore } } }"


class Socket:
    """One open WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: object) -> None:
        """Send `message`: text and bytes as they are, all else as JSON."""
        await self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(ANSWER_S_MAX):
            message: dict[str, Any] = json.loads(await self.connection.recv(decode=True))
        return message

    async def init(self, credential: str | None = None) -> None:
        """Say connection_init, with a credential if there is one, and hear connection_ack."""
        payload = {"payload": {"authorization": f"Bearer {credential}"}} if credential else {}
        await self.send(INIT | payload)
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, operation_id: str, query: str, **fields: Any) -> None:
        """Begin an operation."""
        await self.send({"id": operation_id, "type": "subscribe", "payload": {"query": query, **fields}})

    async def complete(self, operation_id: str) -> None:
        """Say that no more of an operation is wanted."""
        await self.send({"id": operation_id, "type": "complete"})

    async def next(self, operation_id: str) -> dict[str, Any]:
        """The payload of the next message, which has to be a `next` of this operation."""
        message = await self.receive()
        assert message.keys() == {"id", "type", "payload"}, message
        assert (message["id"], message["type"]) == (operation_id, "next"), message
        payload: dict[str, Any] = message["payload"]
        return payload

    async def run(self, operation_id: str, query: str, **fields: Any) -> dict[str, Any]:
        """The result of a query or mutation."""
        await self.subscribe(operation_id, query, **fields)
        payload = await self.next(operation_id)
        assert await self.receive() == {"id": operation_id, "type": "complete"}
        return payload

    async def refused(self, operation_id: str, query: str, **fields: Any) -> list[dict[str, Any]]:
        """The errors of an operation that is refused."""
        await self.subscribe(operation_id, query, **fields)
        message = await self.receive()
        assert (message["id"], message["type"]) == (operation_id, "error"), message
        errors: list[dict[str, Any]] = message["payload"]
        return errors

    async def top(self, operation_id: str) -> dict[str, Any]:
        """The `topChanged` of the next message."""
        payload = await self.next(operation_id)
        assert payload.keys() == {"data"}, payload
        change: dict[str, Any] = payload["data"]["topChanged"]
        return change

    async def closed(self) -> tuple[int, str]:
        """Code and reason of the close frame that the service sends, whatever it sends before it."""
        async with asyncio.timeout(ANSWER_S_MAX):
            with suppress(ConnectionClosed):
                while True:
                    await self.connection.recv()
        code, reason = self.connection.close_code, self.connection.close_reason
        assert code is not None
        assert reason is not None
        return code, reason


@asynccontextmanager
async def opened(url: str, *subprotocols: str, offers: bool = True, **options: Any) -> AsyncIterator[Socket]:
    """A socket to the API at `url`, before any message; it offers graphql-transport-ws unless told otherwise.

    Args:
        offers: False to offer no subprotocol at all.
    """
    offered = [Subprotocol(name) for name in subprotocols or (SUBPROTOCOL,)] if offers else None
    address = f"{url.replace('http', 'ws', 1)}/graphql"
    async with connect(address, subprotocols=offered, compression=None, close_timeout=2, **options) as connection:
        yield Socket(connection)


@asynccontextmanager
async def ready(url: str, *, credential: str | None = None, **options: Any) -> AsyncIterator[Socket]:
    """A socket that may be used for operations; without a credential, for reading."""
    async with opened(url, **options) as socket:
        await socket.init(credential)
        yield socket
