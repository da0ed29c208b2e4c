"""The ASGI application: /graphql goes straight to the GraphQL endpoint, everything else to FastAPI."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from app.parts import open_parts
from app.settings import Settings
from graph.http import GraphEndpoint, Receive, Scope, Send
from service.health import Health, read_health
from service.parts import Parts

logger = logging.getLogger(__name__)


class Application:
    """The service as one ASGI application.

    A server either sends it the events of the ASGI lifespan, or is run inside of `running()` and sends none.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._graph: GraphEndpoint | None = None
        self._in_flight = 0
        self._drained: asyncio.Event | None = None
        self._rest = FastAPI(
            title="Shardboard",
            lifespan=lambda _: self.running(),
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI hands it over."""
        if scope["type"] == "lifespan":
            await self._rest(scope, receive, send)
            return
        self._in_flight += 1
        try:
            if self._graph is not None and scope["path"] == "/graphql" and scope["type"] == "http":
                await self._graph(scope, receive, send)
            else:
                await self._rest(scope, receive, send)
        finally:
            self._in_flight -= 1
            if self._drained is not None and not self._in_flight:
                self._drained.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the parts; at the end wait for the requests under way, then close them.

        Raises:
            OperatorError: the parts cannot be opened.
        """
        async with open_parts(self._settings) as parts:
            self._graph = GraphEndpoint(parts, graphiql=self._settings.graphiql)
            _add_health(self._rest, parts)
            yield
            await self._drain()

    async def _drain(self) -> None:
        """Wait for the requests under way, at most as long as one may take."""
        self._drained = asyncio.Event()
        if not self._in_flight:
            return
        try:
            async with asyncio.timeout(self._settings.deadline_ms / 1000):
                await self._drained.wait()
        except TimeoutError:
            logger.warning("closing with %d requests under way", self._in_flight)


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
