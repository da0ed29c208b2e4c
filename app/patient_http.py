"""One HTTP connection, whose client has so long for each part of a request: no slow or silent one holds it for ever.

uvicorn itself only ends connections that are idle between two requests.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.lingering import LingeringTransport
from app.refusals import describe_refusal
from domain.errors import BadUserInput
from wire.asgi import Receive, Scope, Send, send_whole

HEAD_S_MAX = 10.0
"""From the first byte of a request, or the opening of the connection, to the end of the request's head."""

BODY_S_MAX = 20.0
"""From that first byte to the end of the request's body."""

HEAD_BYTES_MAX = 65_536
HEADERS_MAX = 100


class PatientHttp(HttpToolsProtocol):
    """uvicorn's protocol, with an end to its patience.

    One timer a connection looks from time to time whether something is overdue: a timer a request would cost the many
    that are not.
    """

    _begun_s = 0.0
    _in_head = True
    _head_bytes = 0
    _has_ended_one = False
    _was_silent = False
    _look_later: asyncio.TimerHandle | None = None

    # A socket's transport, as in the base class: asyncio's own base of all protocols declares less.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See the base class."""
        self._lingering = LingeringTransport(transport)
        super().connection_made(self._lingering)  # type: ignore[arg-type]  # all of it that the base class uses
        self._begun_s = self.loop.time()
        self._look_later = self.loop.call_later(HEAD_S_MAX, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """See the base class."""
        self._stop_looking()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """See the base class; sockets have limits of their own."""
        self._stop_looking()
        self.transport = self._lingering.inner
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        """See the base class."""
        self._has_ended_one = False
        super().data_received(data)
        # What came behind the end of another head is not measured: how much of it that is, the parser does not tell.
        if self._in_head and not self._has_ended_one:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                self._refuse(431, f"The head of a request may have {HEAD_BYTES_MAX} bytes.")

    def on_message_begin(self) -> None:
        """See the base class."""
        super().on_message_begin()
        self._begun_s = self.loop.time()
        self._in_head = self._lingering.is_receiving = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """See the base class."""
        self._in_head = False
        self._has_ended_one = True
        if len(self.headers) > HEADERS_MAX:
            self.app = _refuse_headers
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """See the base class."""
        self._lingering.is_receiving = False
        super().on_message_complete()

    def _look(self) -> None:
        """Give up a client that is overdue, and look again when it next could be."""
        if self.transport.is_closing():
            return
        in_body = not self._in_head and self.cycle is not None and self.cycle.more_body
        if self._in_head or in_body:
            left_s = self._begun_s + (BODY_S_MAX if in_body else HEAD_S_MAX) - self.loop.time()
            if left_s > 0:
                self._look_later = self.loop.call_later(left_s, self._look)
            elif in_body:
                self._refuse(408, f"The body of a request must arrive within {BODY_S_MAX:g} s.")
            elif self._head_bytes == 0:
                # Opened for a request that never came, as browsers do.
                self.transport.close()
            else:
                self._refuse(408, f"The head of a request must arrive within {HEAD_S_MAX:g} s.")
            return
        # What came since the last answer is no request and has stopped the timer of idle connections: blank lines.
        silent = self.timeout_keep_alive_task is None and self.cycle is not None and self.cycle.response_complete
        if silent and self._was_silent:
            self.transport.close()
            return
        self._was_silent = silent
        self._look_later = self.loop.call_later(HEAD_S_MAX, self._look)

    def _refuse(self, status: int, message: str) -> None:
        """Answer for the application where it has not begun to, and close the connection."""
        if (
            self.cycle is None
            or self.cycle.response_complete
            or (not self._in_head and not self.cycle.response_started)
        ):
            # Before the end of the head nobody knows which API was meant.
            path = "" if self._in_head else self.scope["path"]
            media_type, body = describe_refusal(path, status, BadUserInput(message))
            self.transport.write(
                STATUS_LINE[status]
                + b"content-type: %b\r\nconnection: close\r\n" % media_type
                + b"content-length: %d\r\n\r\n" % len(body)
                + body
            )
        self.transport.close()

    def _stop_looking(self) -> None:
        if self._look_later is not None:
            self._look_later.cancel()
            self._look_later = None


async def _refuse_headers(scope: Scope, _receive: Receive, send: Send) -> None:
    error = BadUserInput(f"A request may have {HEADERS_MAX} headers.")
    media_type, body = describe_refusal(scope.get("path", ""), 431, error)
    await send_whole(send, 431, [(b"content-type", media_type), (b"connection", b"close")], body)
