"""How the application is served: uvicorn in a process that others share a port with."""

from __future__ import annotations

import resource
import socket
from contextlib import suppress
from functools import partial

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode

from app.shedding import Gatekeeper, SheddingProtocol
from domain.errors import OperatorError
from graph.live.socket import MESSAGE_BYTES_MAX

_OPEN_FILES = 65_536
# Connections that wait to be accepted: thousands of watchers come back at once when a process was restarted.
_BACKLOG = 4096
# A client that keeps a connection between two requests finds it open for so long.
_KEEP_ALIVE_S = 75
# A socket whose client is gone without a word is closed after the two of them.
_PING_INTERVAL_S = 30.0
_PING_TIMEOUT_S = 20.0
# A client that lives but takes nothing of what was sent to it is given up: closing alone would wait for it for ever.
_UNREAD_S_MAX = 60.0


class _WebSocket(WebSocketsSansIOProtocol):
    """One WebSocket, which is freed when it is closed."""

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not _is_utf8(b"".join(self.frames)):
            # The client's fault; uvicorn would log a traceback of it.
            self.frames = []
            self.conn.fail(CloseCode.INVALID_DATA)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # A generator that holds what holds it: 10 KB a socket would wait for a full garbage collection, rare here.
        self.conn.parser.close()


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def server_config(application: ASGIApp, gatekeeper: Gatekeeper, *, stop_s_max: float) -> uvicorn.Config:
    """How the application is served.

    Args:
        gatekeeper: refuses what is too much.
        stop_s_max: how long the server waits for requests under way before it ends.
    """
    return uvicorn.Config(
        application,
        http=partial(SheddingProtocol, gatekeeper=gatekeeper),  # type: ignore[arg-type]  # called like the class
        ws=_WebSocket,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=stop_s_max,  # type: ignore[arg-type]  # waits with asyncio, which takes fractions
        ws_max_size=MESSAGE_BYTES_MAX,
        ws_ping_interval=_PING_INTERVAL_S,
        ws_ping_timeout=_PING_TIMEOUT_S,
        # The state of one compressor is several times what a watcher costs otherwise.
        ws_per_message_deflate=False,
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket on an address that other processes of the service may listen on, too.

    Raises:
        OperatorError: the address cannot be listened on.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; each accepted connection has it from here
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_UNREAD_S_MAX * 1000))
        listening.bind(address)
    except OSError as error:
        raise OperatorError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    listening.setblocking(False)
    return listening


def allow_open_files() -> None:
    """Let this process have many sockets: a watcher is one, and some systems give a process 256 by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
