"""One process of the HTTP server that the service uses, around another ASGI application.

`python -m benchmarks.serve PORT MODULE:NAME`; several processes share the port.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
from collections.abc import Sequence

import uvicorn


def serve(port: int, target: str) -> None:
    """Listens on `port` of the loopback until it is ended."""
    module, _, name = target.partition(":")
    app = getattr(importlib.import_module(module), name)
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind(("127.0.0.1", port))
    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


def serve_commands(port: int, target: str) -> list[Sequence[str]]:
    """As many of these processes as the service has by default: one a core."""
    command = [sys.executable, "-m", "benchmarks.serve", str(port), target]
    return [command] * (os.cpu_count() or 1)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
