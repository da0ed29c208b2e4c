"""`shardboard serve`: one API process, configured by SHARDBOARD_… variables."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys

import click
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from pydantic import ValidationError

from app.asgi import Application
from app.settings import Settings
from domain.errors import OperatorError

logger = logging.getLogger(__name__)

# Connections that wait to be accepted, and requests in progress at once.
_BACKLOG = 1024
_IN_PROGRESS_MAX = 8192
# How long after the last deadline of a request the process waits for an orderly end.
_GRACE_S = 1.0
# A request makes a few hundred objects that end with it and few that stay: looking through all of them as often as
# Python does by itself took two fifths of a busy process.
_GC_THRESHOLDS = (100_000, 50, 100)


@click.command()
def serve() -> None:
    """Serve GraphQL and /health until SIGTERM, then finish the requests under way.

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
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    application = Application(settings)
    server = Server(
        application,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        backlog=_BACKLOG,
        backpressure=_IN_PROGRESS_MAX,
        log_enabled=False,
    )
    stopped_by: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if not stopped_by:
            stopped_by.append(number)
            server.stop()  # type: ignore[no-untyped-call]
            # A client that never finishes its request would be waited for without end.
            loop.call_later(settings.deadline_ms / 1000 + _GRACE_S, _leave)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    async with application.running():
        await server.serve()
    if not stopped_by:
        raise OperatorError("the HTTP server ended by itself")


def _leave() -> None:
    logger.warning("requests that their clients never finished are given up")
    logging.shutdown()
    os._exit(0)


def _first_line(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"SHARDBOARD_{'_'.join(map(str, first['loc'])).upper()}: {first['msg']}"
