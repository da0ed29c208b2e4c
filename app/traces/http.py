"""A span for each HTTP request, in the trace that its client began, if it says so by `traceparent`."""

from __future__ import annotations

from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Receive, Scope, Send

from app.traces.tracer import note_failure

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"))
_GRAPHQL = "/graphql"
_NOWHERE = context.Context()
_PROPAGATOR = TraceContextTextMapPropagator()
_FAULT = 500


class TracedHttp:
    """An application whose HTTP requests have spans.

    Sockets have none, as they live for hours: each operation on one has a trace of its own. An event stream's span ends
    when the stream begins.
    """

    def __init__(self, application: ASGIApp, tracer: Tracer) -> None:
        self._application = application
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI hands it over."""
        if scope["type"] != "http":
            return await self._application(scope, receive, send)
        span = self._begin(scope)

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                _note_response(span, message, scope)
            await send(message)

        token = context.attach(trace.set_span_in_context(span))
        try:
            await self._application(scope, receive, sending)
        except BaseException as error:
            note_failure(span, error)
            raise
        finally:
            context.detach(token)
            span.end()

    def _begin(self, scope: Scope) -> Span:
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        attributes = {
            "http.request.method": method,
            "url.scheme": scope["scheme"],
            "network.protocol.version": scope["http_version"],
        }
        name = "HTTP" if method == "_OTHER" else method
        if scope["path"] == _GRAPHQL:
            name = f"{name} {_GRAPHQL}"
            attributes["http.route"] = attributes["url.path"] = _GRAPHQL
        return self._tracer.start_span(
            name,
            _parent_of(scope),
            SpanKind.SERVER,
            attributes,
            record_exception=False,
            set_status_on_exception=False,
        )


def _parent_of(scope: Scope) -> context.Context:
    """The trace that the client began; none where it says nothing, or nonsense."""
    carrier = {
        name.decode("ascii"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in (b"traceparent", b"tracestate")
    }
    return _PROPAGATOR.extract(carrier, _NOWHERE) if carrier else _NOWHERE


def _note_response(span: Span, message: Any, scope: Scope) -> None:
    if not span.is_recording():
        return
    status = message["status"]
    span.set_attribute("http.response.status_code", status)
    if status >= _FAULT:
        span.set_attribute("error.type", str(status))
        span.set_status(Status(StatusCode.ERROR))
    # The template, as the path itself may name a player.
    route = getattr(scope.get("route"), "path", None)
    if route and scope["path"] != _GRAPHQL:
        span.set_attributes({"http.route": route, "url.path": route})
        span.update_name(f"{scope['method']} {route}")
    if any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in message["headers"]):
        span.end()
