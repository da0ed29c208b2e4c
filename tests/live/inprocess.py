"""The service in the test's own process, served as `shardboard serve` does it: a test can look inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from app.asgi import Application
from app.draining import Server
from app.server import listen, server_config
from app.shedding import Gatekeeper
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from tests.apis import until_ranks_are_whole
from tests.factories import make_settings
from tests.waiting import until


class Service:
    """A running service.

    Attributes:
        url: where it is reached.
        server_key: what may submit there.
        application: what is served.
    """

    def __init__(self, port: int, server_key: str, application: Application, server: Server) -> None:
        self.server_key = server_key
        self.url = f"http://127.0.0.1:{port}"
        self.application = application
        self.server = server

    @property
    def connections(self) -> int:
        """Sockets and streams that are open."""
        return len(self.application._connections)

    @property
    def groups(self) -> int:
        """Different subscriptions that are watched."""
        assert self.application._sockets is not None
        return len(self.application._sockets.groups._groups)


@asynccontextmanager
async def served_here(cluster: LocalCluster, **settings: Any) -> AsyncIterator[Service]:
    """The service on an emptied cluster, ended when the block is left; `settings` as in app/settings.py."""
    port = find_free_port({cluster.port})
    application = Application(make_settings(cluster, host="127.0.0.1", port=port, **settings))
    gatekeeper = Gatekeeper(application.admission)
    server = Server(server_config(application, gatekeeper, stop_s_max=5.0), gatekeeper)
    async with application.running():
        serving = asyncio.create_task(server.serve(sockets=[listen("127.0.0.1", port)]))
        await until(lambda: server.started)
        await until_ranks_are_whole(cluster)
        try:
            yield Service(port, cluster.identity.server_key, application, server)
        finally:
            server.should_exit = True
            application.end_streams()
            await serving
