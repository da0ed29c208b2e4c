"""`shardboard serve`: one API process, configured by SHARDBOARD_… variables."""

from __future__ import annotations

import asyncio
import gc
import signal

import click
import uvloop

from app.asgi import Application
from app.draining import Server
from app.log import log_to_stderr
from app.metrics.shared_cells import open_shared_cells
from app.server import allow_open_files, listen, server_config
from app.settings import Settings, load_settings
from app.shedding import Gatekeeper
from app.traces.run import Trace, traced
from domain.errors import OperatorError
from domain.metrics.catalogue import METRICS
from domain.requests import request_lines

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
    log_to_stderr()
    settings = load_settings()
    log_to_stderr(settings.log_format, production=settings.production, level=settings.log_level)
    request_lines.per_second = settings.log_requests_per_second
    if settings.metrics_dir is not None:
        METRICS.keep_in(open_shared_cells(settings.metrics_dir))
    allow_open_files()
    with traced() as trace:
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        uvloop.run(_serve(settings, trace))


async def _serve(settings: Settings, trace: Trace) -> None:
    application = Application(settings)
    gatekeeper = Gatekeeper(application.admission)
    config = server_config(trace(application), gatekeeper, stop_s_max=settings.deadline_ms / 1000 + _GRACE_S)
    server = Server(config, gatekeeper, settings.ready_file)
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
