"""The ASGI application: /graphql goes straight to the GraphQL endpoints, everything else to FastAPI, pages included."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from app.parts import open_parts
from app.settings import Settings
from app.web import Web, graphiql_page
from graph.answering import Answering
from graph.asgi import Receive, Scope, Send
from graph.http import GraphEndpoint
from graph.live.connections import Connections
from graph.live.groups import Groups
from graph.live.socket import SocketEndpoint
from graph.live.stream import StreamEndpoint
from service.health import Health, read_health
from service.parts import Parts


class Application:
    """The service as one ASGI application.

    A server either sends it the events of the ASGI lifespan, or is run inside of `running()` and sends none. It waits
    for the requests under way before it ends either.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._graph: GraphEndpoint | None = None
        self._sockets: SocketEndpoint | None = None
        self._connections = Connections(settings.connections_max)
        self._rest = FastAPI(
            title="Shardboard",
            lifespan=lambda _: self.running(),
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI hands it over."""
        if scope.get("path") == "/graphql":
            if scope["type"] == "http" and self._graph is not None:
                return await self._graph(scope, receive, send)
            if scope["type"] == "websocket" and self._sockets is not None:
                return await self._sockets(scope, receive, send)
        return await self._rest(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the parts; at the end close them.

        Raises:
            OperatorError: the parts cannot be opened.
        """
        async with open_parts(self._settings) as parts:
            answering = Answering(parts)
            groups = Groups(parts)
            self._graph = GraphEndpoint(
                answering,
                StreamEndpoint(groups, self._connections),
                graphiql_page if self._settings.graphiql else lambda: None,
            )
            self._sockets = SocketEndpoint(
                answering, groups, self._connections, idle_s_max=self._settings.socket_idle_seconds
            )
            _add_health(self._rest, parts)
            self._rest.mount("/", Web(submit=self._settings.try_out, graphiql=self._settings.graphiql))
            try:
                yield
            finally:
                self.end_streams()
                await groups.close()

    def end_streams(self) -> None:
        """End the responses that would go on for ever; their clients come back to another process."""
        self._connections.end_all()


def _add_health(rest: FastAPI, parts: Parts) -> None:
    @rest.get("/health")
    async def health() -> JSONResponse:
        """Which parts answer: 200 while any shard does, 503 when nothing can be served."""
        body = describe_health(await read_health(parts))
        return JSONResponse(body, status_code=503 if body["status"] == "unhealthy" else 200)


def describe_health(health: Health) -> dict[str, Any]:
    """The body of `GET /health`.

    `status` is `healthy` when every part answers, `degraded` when something is away that the service can live
    without, and `unhealthy` when no shard answers.
    """
    answering = sum(health.shards.values())
    database = {0: "disconnected", len(health.shards): "connected"}.get(answering, "degraded")
    if database == "disconnected":
        status = "unhealthy"
    else:
        status = "healthy" if database == "connected" and health.redis else "degraded"
    return {
        "status": status,
        "database": database,
        "redis": _word(health.redis),
        "shards": {name: _word(answers) for name, answers in health.shards.items()},
        "timestamp": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }


def _word(answers: bool) -> str:
    return "connected" if answers else "disconnected"
