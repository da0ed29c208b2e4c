"""`shardboard serve`: one API process, configured by SHARDBOARD_… variables."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click
import uvicorn
import uvloop
from pydantic import ValidationError

from app.asgi import Application
from app.settings import Settings
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
# How long after the last deadline of a request the process waits for an orderly end.
_GRACE_S = 1
# A request makes a few hundred objects that end with it and few that stay: looking through all of them as often as
# Python does by itself took two fifths of a busy process.
_GC_THRESHOLDS = (100_000, 50, 100)


@click.command()
def serve() -> None:
    """Serve GraphQL, the board and /health until SIGTERM, then finish the requests under way.

    Several processes may share one port; the kernel spreads the connections over them.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        raise OperatorError(f"the SHARDBOARD_… variables are not complete: {_first_line(error)}") from None
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
    # uvicorn tells of every socket that opens and closes.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    _allow_open_files()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    uvloop.run(_serve(settings))


class _Server(uvicorn.Server):
    """A server that leaves signals to who runs it: uvicorn's own handling would end the process before its parts."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(settings: Settings) -> None:
    application = Application(settings)
    server = _Server(server_config(application, settings))
    stopped_by: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if not stopped_by:
            stopped_by.append(number)
            server.should_exit = True
            application.end_streams()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    async with application.running():
        await server.serve(sockets=[_listen(settings.host, settings.port)])
    if not stopped_by:
        raise OperatorError("the HTTP server ended by itself")


def server_config(application: Application, settings: Settings) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        application,
        http="httptools",
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.deadline_ms // 1000 + _GRACE_S,
        ws_max_size=MESSAGE_BYTES_MAX,
        ws_ping_interval=_PING_INTERVAL_S,
        ws_ping_timeout=_PING_TIMEOUT_S,
        # The state of one compressor is several times what a watcher costs otherwise.
        ws_per_message_deflate=False,
    )


def _listen(host: str, port: int) -> socket.socket:
    """A socket on an address that other processes of the service may listen on, too.

    Raises:
        OperatorError: the address cannot be listened on.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(address)
    except OSError as error:
        raise OperatorError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    listening.setblocking(False)
    return listening


def _allow_open_files() -> None:
    """Let this process have many sockets: a watcher is one, and some systems give a process 256 by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _first_line(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"SHARDBOARD_{'_'.join(map(str, first['loc'])).upper()}: {first['msg']}"
