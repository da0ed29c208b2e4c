"""One process of the HTTP server that the service uses, around another ASGI application.

`python -m benchmarks.serve PORT MODULE:NAME`; several processes share the port.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server


async def serve(port: int, target: str) -> None:
    """Listens on `port` of the loopback until it is ended."""
    module, _, name = target.partition(":")
    app = getattr(importlib.import_module(module), name)
    server = Server(
        app, port=port, interface=Interfaces.ASGI, http=HTTPModes.http1, log_enabled=False, websockets=False
    )
    await server.serve()


def serve_commands(port: int, target: str) -> list[Sequence[str]]:
    """As many of these processes as the service has by default: one a core."""
    command = [sys.executable, "-m", "benchmarks.serve", str(port), target]
    return [command] * (os.cpu_count() or 1)


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
