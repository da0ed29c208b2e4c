"""The ASGI application: /graphql and /api/… go straight to their endpoints, everything else to FastAPI, pages too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from app.cross_origin import CrossOrigin, refuse_socket
from app.metrics.endpoint import MetricsEndpoint
from app.metrics.observer import Observer
from app.metrics.summary import Summary
from app.operations_file import read_operations
from app.origins import Origins
from app.parts import open_parts
from app.settings import Settings
from app.web import Web, graphiql_page
from db.schema import needed_revision, newest_revision
from domain.errors import OperatorError
from domain.instants import rfc3339
from domain.metrics.catalogue import METRICS
from domain.resilience.admission import Admission
from graph.http import GraphEndpoint
from graph.live.connections import Connections
from graph.live.groups import Groups
from graph.live.socket import SocketEndpoint
from graph.live.stream import StreamEndpoint
from graph.persisted import PersistedOperations
from graph.traced import make_answering
from ranking.documents import SharedDocuments
from rest.endpoint import PREFIX, RestEndpoint
from rest.openapi import write_document
from service.health import Health, read_health
from service.parts import Parts
from wire.asgi import Endpoint, Receive, Scope, Send


class Application:
    """The service as one ASGI application.

    A server either sends it the events of the ASGI lifespan, or is run inside of `running()` and sends none. It waits
    for the requests under way before it ends either.

    admission: how much it works on at once.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.admission = Admission()
        self._graph: Endpoint | None = None
        self._rest: Endpoint | None = None
        self._sockets: SocketEndpoint | None = None
        self._operations = _listed_operations(settings)
        self._origins = Origins(settings.cors_origins)
        self._connections = Connections(settings.connections_max)
        self._others = FastAPI(
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
                if self._origins.refuses_socket(scope):
                    return await refuse_socket(receive, send)
                return await self._sockets(scope, receive, send)
        elif self._rest is not None and scope["type"] == "http" and scope["path"].startswith(PREFIX):
            return await self._rest(scope, receive, send)
        return await self._others(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the parts; at the end close them.

        Raises:
            OperatorError: the parts cannot be opened.
        """
        async with open_parts(self._settings) as parts:
            persisted = PersistedOperations(
                SharedDocuments(parts.store), self._operations, only=self._settings.operations_only
            )
            answering = make_answering(parts, self._settings.disclosure, persisted, self.admission)
            groups = Groups(parts)
            graph = GraphEndpoint(
                answering,
                StreamEndpoint(parts.access, groups, self._connections),
                graphiql_page if self._settings.serves_graphiql else lambda: None,
            )
            self._graph = self._open_to_origins(graph)
            self._rest = self._open_to_origins(RestEndpoint(parts))
            self._sockets = SocketEndpoint(
                answering, groups, self._connections, idle_s_max=self._settings.socket_idle_seconds
            )
            summary = Summary()
            _add_health(self._others, parts)
            self._add_metrics(parts, summary)
            observer = Observer(parts, groups.count_watchers, summary, self._settings.metrics_dir)
            observer.start()
            self._others.mount("/", self._web())
            try:
                yield
            finally:
                self.end_streams()
                await observer.close()
                await groups.close()
                await persisted.close()

    def _web(self) -> Web:
        settings = self._settings
        openapi = write_document() if settings.serves_docs else None
        return Web(key=settings.page_key, graphiql=settings.serves_graphiql, openapi=openapi)

    def _open_to_origins(self, endpoint: Endpoint) -> Endpoint:
        return CrossOrigin(endpoint, self._origins) if self._settings.cors_origins else endpoint

    def _add_metrics(self, parts: Parts, summary: Summary) -> None:
        settings = self._settings
        endpoint = MetricsEndpoint(METRICS, settings.metrics_dir, summary, parts.access, settings.metrics_networks)
        self._others.add_route("/metrics", endpoint.answer, methods=["GET"])

    def end_streams(self) -> None:
        """End the responses that would go on for ever; their clients come back to another process."""
        self._connections.end_all()


def _listed_operations(settings: Settings) -> dict[str, str]:
    if settings.operations_file is not None:
        return read_operations(settings.operations_file)
    if settings.operations_only:
        raise OperatorError("SHARDBOARD_OPERATIONS_ONLY needs SHARDBOARD_OPERATIONS_FILE: nothing could run")
    return {}


def _add_health(others: FastAPI, parts: Parts) -> None:
    @others.get("/health")
    async def health() -> JSONResponse:
        """Which parts answer: 200 while any shard does, 503 when nothing can be served."""
        body = describe_health(await read_health(parts))
        return JSONResponse(body, status_code=503 if body["status"] == "unhealthy" else 200)


def describe_health(health: Health) -> dict[str, Any]:
    """The body of `GET /health`.

    `status` is `healthy` when every part answers, `degraded` when something is away that the service can live
    without, and `unhealthy` when no shard answers, or one has tables that this version cannot serve.
    """
    answering = sum(health.shards.values())
    database = {0: "disconnected", len(health.shards): "connected"}.get(answering, "degraded")
    refused = health.refused
    if database == "disconnected" or refused:
        status = "unhealthy"
    else:
        status = "healthy" if database == "connected" and health.redis else "degraded"
    return {
        "status": status,
        "database": database,
        "redis": _word(health.redis),
        "shards": {name: _word(answers) for name, answers in health.shards.items()},
        "schema": _describe_schema(health),
        "timestamp": rfc3339(datetime.now(UTC)),
    }


def _describe_schema(health: Health) -> dict[str, Any]:
    """Whether the tables are this version's, a newer one's that it serves, or none that it can serve, and why."""
    return {
        "state": "refused" if health.refused else "expanded" if health.is_expanded else "current",
        "needed": needed_revision(),
        "known": newest_revision(),
        "shards": {name: state and state.revision for name, state in health.schemas.items()},
        **({"refused": health.refused} if health.refused else {}),
    }


def _word(answers: bool) -> str:
    return "connected" if answers else "disconnected"
