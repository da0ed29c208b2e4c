"""GraphQL over Server-Sent Events: one operation a connection, as graphql-sse's distinct connections mode has it."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from domain.access import Caller
from domain.requests import CurrentRequest
from graph.documents import Prepared
from graph.errors import request_error, sign, with_id
from graph.live.connections import Connections
from graph.live.credential import watch_credential
from graph.live.groups import Groups
from graph.live.outbox import Outbox
from graph.media import EVENT_STREAM
from service.access import Access
from wire.asgi import Headers, Receive, Send

_HEADERS = [
    (b"content-type", EVENT_STREAM + b"; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # nginx would hold events back until they fill a buffer.
    (b"x-accel-buffering", b"no"),
]
_COMPLETE = b"event: complete\ndata:\n\n"
_KEEP_ALIVE = b":\n\n"

KEEP_ALIVE_S = 12.0
"""How long a stream is silent at most; proxies give up connections on which nothing moves."""


class StreamEndpoint:
    """Serves event streams."""

    def __init__(self, access: Access, groups: Groups, connections: Connections) -> None:
        self._access = access
        self._groups = groups
        self._connections = connections

    async def watch(
        self,
        request: CurrentRequest,
        prepared: Prepared,
        variables: dict[str, Any],
        caller: Caller,
        receive: Receive,
        send: Send,
    ) -> bool:
        """Stream a subscription until it ends, the client leaves or its credential is good no longer; False where there
        is no room for it.
        """
        stream = _Stream(send, request.id)
        if not self._connections.enter(stream, stream.stop):
            return False
        group = None
        watch = watch_credential(self._access, caller, lambda error: stream.fail(request_error(error)["errors"]))
        try:
            request.protocol = "sse"
            request.end()
            await send({"type": "http.response.start", "status": 200, "headers": _headers(request)})
            group = self._groups.join(prepared, variables, stream)
            await stream.run(receive)
        except OSError:
            pass  # the client is gone
        finally:
            if watch is not None:
                watch.leave()
            if group is not None:
                group.remove(stream)
            self._connections.leave(stream)
        return True


async def send_single(request: CurrentRequest, body: bytes, send: Send) -> None:
    """Send a single answer, and its end, as a stream."""
    body, code = sign(body, request.id)
    request.protocol = "sse"
    request.end(code)
    await send({"type": "http.response.start", "status": 200, "headers": _headers(request)})
    await send({"type": "http.response.body", "body": _next(body) + _COMPLETE})


class _Stream:
    """One stream, which watches one subscription; holds the newest result until it can be sent."""

    __slots__ = ("_done", "_outbox", "_payload", "_request_id", "_send", "_waits")

    transport = "sse"

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._outbox: Outbox[bytes | None] = Outbox(self._send_item)
        self._payload = b""
        self._waits = False
        self._done = asyncio.get_running_loop().create_future()

    async def run(self, receive: Receive) -> None:
        """Send what there is until the subscription ends or the client leaves."""
        gone = asyncio.create_task(_until_gone(receive))
        try:
            while not gone.done() and not self._done.done():
                await asyncio.wait([gone, self._done], timeout=KEEP_ALIVE_S, return_when=asyncio.FIRST_COMPLETED)
                if not (gone.done() or self._done.done()):
                    self._outbox.put(_KEEP_ALIVE)
                    await self._outbox.room()
            if not gone.done():
                await self._outbox.sent()
                await self._send({"type": "http.response.body", "body": b""})
        finally:
            self._outbox.close()
            gone.cancel()

    def stop(self) -> None:
        """End the response without `complete`: the client comes back, to another process."""
        if not self._done.done():
            self._done.set_result(None)

    def show(self, payload: str) -> None:
        """See `Watcher`."""
        self._payload = payload.encode()
        if not self._waits:
            self._waits = True
            self._outbox.put(None)

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """See `Watcher`."""
        self._outbox.put(_next(orjson.dumps({"errors": with_id(errors, self._request_id)})))
        self.end()

    def end(self) -> None:
        """See `Watcher`."""
        self._outbox.put(_COMPLETE)
        self.stop()

    async def _send_item(self, item: bytes | None) -> None:
        if item is None:
            self._waits = False
            item = _next(self._payload)
        await self._send({"type": "http.response.body", "body": item, "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _headers(request: CurrentRequest) -> Headers:
    return [*_HEADERS, (b"x-request-id", request.id.encode())]


def _next(body: bytes) -> bytes:
    return b"event: next\ndata: " + body + b"\n\n"
