"""`shardboard serve`: one API process, configured by SHARDBOARD_… variables."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys

import click
import uvloop
from pydantic import ValidationError

from app.asgi import Application
from app.server import Server, allow_open_files, listen, server_config
from app.settings import Settings
from domain.errors import OperatorError

# How long after the last deadline of a request the process waits for an orderly end.
_GRACE_S = 1.0
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
    allow_open_files()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    application = Application(settings)
    server = Server(server_config(application, stop_s_max=settings.deadline_ms / 1000 + _GRACE_S))
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
        await server.serve(sockets=[listen(settings.host, settings.port)])
    if not stopped_by:
        raise OperatorError("the HTTP server ended by itself")


def _first_line(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"SHARDBOARD_{'_'.join(map(str, first['loc'])).upper()}: {first['msg']}"
