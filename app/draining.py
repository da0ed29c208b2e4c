"""A server that ends without a client noticing more than a closed connection.

uvicorn closes its listening socket and all idle connections at once. Whoever was connecting is reset then, because the
kernel had completed the handshake for a socket that is gone; so is whoever sent a request at that moment on an idle
connection. So: connections that wait are accepted first; those that are open are served a while longer, each answer
saying `Connection: close`, so that clients go elsewhere by themselves.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from app.shedding import Gatekeeper, SheddingProtocol
from domain.resilience.limits import LINGER_S
from infra.local.files import write_private

_LOOKS = 20


class Server(uvicorn.Server):
    """Serves sockets of ours, and leaves signals to who runs it: uvicorn would end the process before its parts.

    Args:
        gatekeeper: that of the protocol; told when it begins to end.
        ready_file: holds the process's id while connections are accepted.
    """

    def __init__(self, config: uvicorn.Config, gatekeeper: Gatekeeper, ready_file: Path | None = None) -> None:
        super().__init__(config)
        self._gatekeeper = gatekeeper
        self._ready_file = ready_file

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets)
        if self._ready_file is not None:
            write_private(self._ready_file, f"{os.getpid()}\n")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, answer what is under way, see the others off."""
        if self._ready_file is not None:
            self._ready_file.unlink(missing_ok=True)
        self._gatekeeper.is_draining = True
        for listening in sockets or []:
            await self._stop_listening(listening)
        for connection in list(self.server_state.connections):
            if not _is_idle(connection):
                # A socket is told to come back elsewhere; an answer under way closes its connection.
                connection.shutdown()
        await self._linger()
        await super().shutdown(sockets)

    async def _stop_listening(self, listening: socket.socket) -> None:
        """Accept what waits, then close at once: hardly anybody can come in between."""
        accepted = list(_accept_all(listening))
        for server in self.servers:
            server.close()
        listening.close()
        for connection in accepted:
            await asyncio.get_running_loop().connect_accepted_socket(self._make_protocol, connection)

    def _make_protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # Uvicorn declares any protocol, and calls its own
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def _linger(self) -> None:
        """Leave idle connections open for a moment: what comes on them meanwhile is answered."""
        for _ in range(_LOOKS):
            if not any(map(_is_idle, self.server_state.connections)):
                return
            await asyncio.sleep(LINGER_S / _LOOKS)


def _is_idle(connection: object) -> bool:
    """Whether it is open for HTTP and nothing is under way on it."""
    return isinstance(connection, SheddingProtocol) and (connection.cycle is None or connection.cycle.response_complete)


def _accept_all(listening: socket.socket) -> Iterator[socket.socket]:
    while True:
        try:
            connection, _ = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        connection.setblocking(False)
        yield connection
