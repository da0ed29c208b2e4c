"""GraphQL over WebSocket: the server's half of graphql-transport-ws."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from graph.answering import Answering
from graph.asgi import Receive, Scope, Send
from graph.documents import Prepared, RefusedDocument
from graph.errors import internal_error
from graph.live import messages
from graph.live.connections import Connections
from graph.live.groups import Group, Groups
from graph.live.messages import Closing, Complete, ConnectionInit, Ping, Subscribe, read_message
from graph.live.outbox import Outbox
from graph.request import BODY_BYTES_MAX, GraphRequest, RefusedRequestError, read_body

MESSAGE_BYTES_MAX = BODY_BYTES_MAX
"""The server that runs this closes a socket with 1009 on a longer message."""

OPERATIONS_MAX = 100
"""Operations under way at once on one socket."""

INIT_S_MAX = 10.0
"""How long a client may take to say connection_init."""

# urql takes a query for done at its result. Does the end come in the same read, graphql-ws counts it as done twice, and
# closes the socket under the operations that are left.
_COMPLETE_AFTER_S = 0.002


class SocketEndpoint:
    """Serves WebSockets.

    Args:
        idle_s_max: how long a socket may stay open without an operation.
    """

    def __init__(self, answering: Answering, groups: Groups, connections: Connections, *, idle_s_max: float) -> None:
        self.answering = answering
        self.groups = groups
        self.idle_s_max = idle_s_max
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket, as ASGI hands it over, until it is closed."""
        await receive()  # websocket.connect
        speaks = messages.SUBPROTOCOL in scope["subprotocols"]
        socket = _Socket(self, send)
        entered = speaks and self._connections.enter(socket)
        try:
            await send({"type": "websocket.accept", "subprotocol": messages.SUBPROTOCOL if speaks else None})
            if not speaks:
                await socket.close(
                    Closing(messages.BAD_SUBPROTOCOL, f"Subprotocol not acceptable: use {messages.SUBPROTOCOL}.")
                )
            elif not entered:
                await socket.close(
                    Closing(messages.TOO_MANY_SOCKETS, "Too many connections are open; try again later.")
                )
            else:
                await socket.run(receive)
        except OSError:
            pass  # the client is gone
        finally:
            socket.free()
            if entered:
                self._connections.leave(socket)


class _Socket:
    """One socket. Its operations, by their ids: who watches, or the task that makes a single answer."""

    __slots__ = ("_acknowledged", "_endpoint", "_operations", "_outbox", "_send", "_timer")

    def __init__(self, endpoint: SocketEndpoint, send: Send) -> None:
        self._endpoint = endpoint
        self._send = send
        self._outbox: Outbox[str | _SocketWatcher | Closing] = Outbox(self._send_item)
        self._operations: dict[str, _SocketWatcher | asyncio.Task[None]] = {}
        self._acknowledged = False
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, receive: Receive) -> None:
        """Do what the client says until the socket is closed."""
        self._expire_in(INIT_S_MAX, messages.INIT_TIMEOUT, "Connection initialisation timeout.")
        try:
            while (message := await receive())["type"] == "websocket.receive":
                self._do(read_message(message.get("text")))
                await self._outbox.room()
        except Closing as closing:
            await self.close(closing)
        except OSError:
            raise
        except Exception as error:
            internal_error(error)
            await self.close(Closing(messages.INTERNAL_ERROR, "Internal server error."))

    async def close(self, closing: Closing) -> None:
        """Close the socket; what waits to be sent is dropped."""
        self._outbox.close()
        await self._send_item(closing)

    def free(self) -> None:
        """End all that was under way. Single answers are made to their end, as a submission may be among them."""
        self._stop_timer()
        self._outbox.close()
        for operation in self._operations.values():
            if isinstance(operation, _SocketWatcher):
                operation.leave()
        self._operations.clear()

    def put(self, item: str | _SocketWatcher) -> None:
        """Send `item` after those that wait."""
        self._outbox.put(item)

    def ended(self, operation_id: str) -> None:
        """An operation is over; its id may be used again."""
        self._operations.pop(operation_id, None)
        if not self._operations:
            self._expire_when_idle()

    def _do(self, message: messages.Message) -> None:
        if isinstance(message, ConnectionInit):
            if self._acknowledged:
                raise Closing(messages.TOO_MANY_INITS, "Too many initialisation requests.")
            self._acknowledged = True
            self._expire_when_idle()
            self.put(messages.ACK)
        elif isinstance(message, Ping):
            self.put(messages.pong(message.payload))
        elif isinstance(message, Subscribe):
            self._begin(message)
        elif isinstance(message, Complete):
            # An id that is not known is one whose end crossed this message on its way.
            operation = self._operations.get(message.id)
            if isinstance(operation, _SocketWatcher):
                operation.leave()
            if operation is not None:
                self.ended(message.id)

    def _begin(self, message: Subscribe) -> None:
        if not self._acknowledged:
            raise Closing(messages.UNAUTHORIZED, "Unauthorized: say connection_init first.")
        if message.id in self._operations:
            raise Closing(messages.ID_TAKEN, f"Subscriber for {message.id} already exists.")
        if len(self._operations) >= OPERATIONS_MAX:
            raise Closing(messages.TOO_MANY_OPERATIONS, f"A socket may have {OPERATIONS_MAX} operations at once.")
        payload = bytes(message.payload)
        try:
            request = read_body(payload)
        except RefusedRequestError as refusal:
            raise Closing(messages.BAD_REQUEST, f"Invalid payload of subscribe: {refusal.cause}") from None
        self._stop_timer()
        prepared = self._endpoint.answering.prepare(request)
        if isinstance(prepared, RefusedDocument):
            self.put(messages.error(message.id, prepared.errors))
            self.ended(message.id)
        elif prepared.is_subscription:
            watcher = self._operations[message.id] = _SocketWatcher(self, message.id)
            watcher.watch(self._endpoint.groups, prepared, request.variables)
        else:
            work = self._answer(message.id, payload, prepared, request)
            self._operations[message.id] = asyncio.get_running_loop().create_task(work)

    async def _answer(self, operation_id: str, payload: bytes, prepared: Prepared, request: GraphRequest) -> None:
        answering = self._endpoint.answering
        try:
            body = answering.find_kept(payload) or (await answering.answer(payload, prepared, request)).body
        except Exception as error:
            body = orjson.dumps(internal_error(error))
        # Whoever completed the operation before its answer was there wants none; the id may be another's by now.
        if self._operations.get(operation_id) is asyncio.current_task():
            self.put(f"{messages.next_head(operation_id)}{body.decode()}}}")
            await self._outbox.sent()
            await asyncio.sleep(_COMPLETE_AFTER_S)
        if self._operations.get(operation_id) is asyncio.current_task():
            self.put(messages.complete(operation_id))
            self.ended(operation_id)

    async def _send_item(self, item: str | _SocketWatcher | Closing) -> None:
        if isinstance(item, Closing):
            await self._send({"type": "websocket.close", "code": item.code, "reason": item.reason})
        else:
            text = item if isinstance(item, str) else item.take()
            await self._send({"type": "websocket.send", "text": text})

    def _expire_when_idle(self) -> None:
        limit_s = self._endpoint.idle_s_max
        self._expire_in(limit_s, messages.IDLE, f"Idle: no operation in {limit_s:g} s.")

    def _expire_in(self, seconds: float, code: int, reason: str) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._outbox.put, Closing(code, reason))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _SocketWatcher:
    """One subscription on one socket; holds the newest result until it can be sent."""

    __slots__ = ("_group", "_head", "_id", "_payload", "_socket", "_waits")

    def __init__(self, socket: _Socket, operation_id: str) -> None:
        self._socket = socket
        self._id = operation_id
        self._head = messages.next_head(operation_id)
        self._payload = ""
        self._waits = False
        self._group: Group | None = None

    def watch(self, groups: Groups, prepared: Prepared, variables: dict[str, Any]) -> None:
        """Begin."""
        self._group = groups.join(prepared, variables, self)

    def leave(self) -> None:
        """End without a word."""
        if self._group is not None:
            self._group.remove(self)

    def take(self) -> str:
        """The message of the newest result, which is sent now."""
        self._waits = False
        return f"{self._head}{self._payload}}}"

    def show(self, payload: str) -> None:
        """See `Watcher`."""
        self._payload = payload
        if not self._waits:
            self._waits = True
            self._socket.put(self)

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """See `Watcher`."""
        self._socket.put(messages.error(self._id, errors))
        self._socket.ended(self._id)

    def end(self) -> None:
        """See `Watcher`."""
        self._socket.put(messages.complete(self._id))
        self._socket.ended(self._id)
