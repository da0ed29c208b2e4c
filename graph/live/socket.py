"""GraphQL over WebSocket: the server's half of graphql-transport-ws."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from domain.access import Caller
from domain.errors import ShardboardError, Unauthenticated
from domain.requests import CurrentRequest, begin_request
from graph.answering import Answering
from graph.documents import Prepared, RefusedDocument
from graph.errors import code_of, internal_error, masked_message, request_error, sign, with_id
from graph.live import messages
from graph.live.connections import Connections
from graph.live.credential import CredentialWatch, watch_credential
from graph.live.groups import Group, Groups
from graph.live.messages import Closing, Complete, ConnectionInit, Ping, Subscribe, find_authorization, read_message
from graph.live.outbox import Outbox
from graph.request import BULK_BODY_BYTES_MAX, GraphRequest, read_body
from wire.asgi import Receive, Scope, Send
from wire.request import BODY_BYTES_MAX, RefusedRequestError

MESSAGE_BYTES_MAX = BULK_BODY_BYTES_MAX
"""The server that runs this closes a socket with 1009 on a longer message; so do we where it submits no bulk."""

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
        socket = _Socket(self, scope, send)
        entered = speaks and self._connections.enter(socket)
        try:
            await send({"type": "websocket.accept", "subprotocol": messages.SUBPROTOCOL if speaks else None})
            if not speaks:
                await socket.close(
                    Closing(messages.BAD_SUBPROTOCOL, f"Subprotocol not acceptable: use {messages.SUBPROTOCOL}.")
                )
            elif not entered:
                await socket.close(Closing(messages.TRY_AGAIN_LATER, "Too many connections are open; try again later."))
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

    __slots__ = (
        "_caller", "_credential", "_endpoint", "_initialised", "_operations", "_outbox", "_peer", "_send", "_timer"
    )  # fmt: skip

    def __init__(self, endpoint: SocketEndpoint, scope: Scope, send: Send) -> None:
        self._endpoint = endpoint
        self._peer = _peer_of(scope)
        self._send = send
        self._outbox: Outbox[str | _SocketWatcher | Closing] = Outbox(self._send_item)
        self._operations: dict[str, _SocketWatcher | asyncio.Task[None]] = {}
        self._initialised = False
        self._caller: Caller | None = None
        self._credential: CredentialWatch | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, receive: Receive) -> None:
        """Do what the client says until the socket is closed."""
        self._expire_in(INIT_S_MAX, messages.INIT_TIMEOUT, "Connection initialisation timeout.")
        try:
            while (message := await receive())["type"] == "websocket.receive":
                text = message.get("text")
                told = read_message(text)
                if text and len(text) > BODY_BYTES_MAX and not isinstance(told, Subscribe):
                    raise _too_large()
                await self._do(told)
                await self._outbox.room()
        except Closing as closing:
            await self.close(closing)
        except OSError:
            raise
        except Exception as error:
            error_id = internal_error(error)["errors"][0]["extensions"]["id"]
            await self.close(Closing(messages.INTERNAL_ERROR, masked_message(error_id)))

    async def close(self, closing: Closing) -> None:
        """Close the socket; what waits to be sent is dropped."""
        self._outbox.close()
        await self._send_item(closing)

    def free(self) -> None:
        """End all that was under way. Single answers are made to their end, as a submission may be among them."""
        self._stop_timer()
        if self._credential is not None:
            self._credential.leave()
            self._credential = None
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

    async def _do(self, message: messages.Message) -> None:
        if isinstance(message, ConnectionInit):
            if self._initialised:
                raise Closing(messages.TOO_MANY_INITS, "Too many initialisation requests.")
            self._initialised = True
            self._caller = await self._identify(message.payload)
            access = self._endpoint.answering.access
            self._credential = watch_credential(access, self._caller, self._credential_ended)
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

    async def _identify(self, payload: dict[str, Any] | None) -> Caller:
        authorization, address, forwarded_for = self._peer
        authorization = find_authorization(payload) or authorization
        try:
            return await self._endpoint.answering.access.identify(authorization, address, forwarded_for)
        except Unauthenticated as error:
            # Stock clients take 4401 for final and come back after this one, with a new token if they have one.
            raise Closing(messages.FORBIDDEN, f"Forbidden: {error}") from None
        except ShardboardError as error:
            raise Closing(messages.TRY_AGAIN_LATER, str(error)) from None

    def _credential_ended(self, error: Unauthenticated) -> None:
        self._outbox.put(Closing(messages.FORBIDDEN, f"Forbidden: {error}"))

    def _begin(self, message: Subscribe) -> None:
        caller = self._caller
        if caller is None:
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
        current = begin_request("websocket")
        current.enter()
        if request.query:
            self._start(current, message.id, payload, request, caller)
        else:
            work = self._find_text(current, message.id, payload, request, caller)
            self._operations[message.id] = asyncio.get_running_loop().create_task(work)

    def _start(
        self, current: CurrentRequest, operation_id: str, payload: bytes, request: GraphRequest, caller: Caller
    ) -> None:
        prepared = self._endpoint.answering.prepare(request)
        if isinstance(prepared, Prepared):
            current.operation = prepared.asked.name
        if isinstance(prepared, RefusedDocument):
            self._refuse(current, operation_id, prepared.errors)
        elif len(payload) > BODY_BYTES_MAX and not prepared.is_bulk:
            raise _too_large()
        elif prepared.is_subscription:
            if caller.reads_freely:
                self._watch(current, operation_id, prepared, request)
            else:
                work = self._watch_when_admitted(current, operation_id, prepared, request, caller)
                self._operations[operation_id] = asyncio.get_running_loop().create_task(work)
        else:
            work = self._answer(current, operation_id, payload, prepared, request, caller)
            self._operations[operation_id] = asyncio.get_running_loop().create_task(work)

    def _refuse(self, current: CurrentRequest, operation_id: str, errors: list[dict[str, Any]]) -> None:
        current.end(code_of(errors))
        self.put(messages.error(operation_id, with_id(errors, current.id)))
        self.ended(operation_id)

    async def _find_text(
        self, current: CurrentRequest, operation_id: str, payload: bytes, request: GraphRequest, caller: Caller
    ) -> None:
        """Start an operation whose document the client named by its id, unless the client wants it no more."""
        try:
            found = await self._endpoint.answering.find_text(request)
        except Exception as error:
            found = RefusedDocument(internal_error(error)["errors"])
        if self._operations.get(operation_id) is not asyncio.current_task():
            return
        if isinstance(found, RefusedDocument):
            self._refuse(current, operation_id, found.errors)
            return
        try:
            self._start(current, operation_id, payload, found, caller)
        except Closing as closing:
            await self.close(closing)

    def _watch(self, current: CurrentRequest, operation_id: str, prepared: Prepared, request: GraphRequest) -> None:
        current.end()
        watcher = self._operations[operation_id] = _SocketWatcher(self, operation_id, current.id)
        watcher.watch(self._endpoint.groups, prepared, request.variables)

    async def _watch_when_admitted(
        self, current: CurrentRequest, operation_id: str, prepared: Prepared, request: GraphRequest, caller: Caller
    ) -> None:
        refusal: dict[str, Any] | None = None
        try:
            await self._endpoint.answering.admit(prepared, caller)
        except ShardboardError as error:
            refusal = request_error(error)
        except Exception as error:
            refusal = internal_error(error)
        if self._operations.get(operation_id) is not asyncio.current_task():
            return
        if refusal is None:
            self._watch(current, operation_id, prepared, request)
        else:
            self._refuse(current, operation_id, refusal["errors"])

    async def _answer(
        self,
        current: CurrentRequest,
        operation_id: str,
        payload: bytes,
        prepared: Prepared,
        request: GraphRequest,
        caller: Caller,
    ) -> None:
        answering = self._endpoint.answering
        try:
            body = answering.find_kept(payload) if caller.reads_freely else None
            if body is None:
                with answering.place(len(payload)):
                    await answering.admit(prepared, caller)
                    body = (await answering.answer(payload, prepared, request, answering.context(caller))).body
        except ShardboardError as error:
            if self._operations.get(operation_id) is asyncio.current_task():
                self._refuse(current, operation_id, request_error(error)["errors"])
            return
        except Exception as error:
            body = orjson.dumps(internal_error(error))
        body, code = sign(body, current.id)
        current.end(code)
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


def _peer_of(scope: Scope) -> tuple[str | None, str, str]:
    """The credential of the upgrade, which no browser can send, the other end's address, and what proxies say of it."""
    headers = dict(scope["headers"])
    authorization = headers.get(b"authorization")
    client = scope["client"]
    return (
        None if authorization is None else authorization.decode("latin-1"),
        client[0] if client else "",
        headers.get(b"x-forwarded-for", b"").decode("latin-1"),
    )


class _SocketWatcher:
    """One subscription on one socket; holds the newest result until it can be sent."""

    __slots__ = ("_group", "_head", "_id", "_payload", "_request_id", "_socket", "_waits")

    transport = "websocket"

    def __init__(self, socket: _Socket, operation_id: str, request_id: str) -> None:
        self._socket = socket
        self._id = operation_id
        self._request_id = request_id
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
        self._socket.put(messages.error(self._id, with_id(errors, self._request_id)))
        self._socket.ended(self._id)

    def end(self) -> None:
        """See `Watcher`."""
        self._socket.put(messages.complete(self._id))
        self._socket.ended(self._id)


def _too_large() -> Closing:
    return Closing(
        messages.TOO_LARGE, f"A message may have {BODY_BYTES_MAX} bytes, or {MESSAGE_BYTES_MAX} with submitScores."
    )
