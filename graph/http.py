"""POST and GET /graphql: GraphQL over HTTP as a plain ASGI application."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import orjson

from domain.errors import RateLimited
from graph.answering import Answering
from graph.asgi import Receive, Scope, Send
from graph.documents import RefusedDocument
from graph.errors import internal_error, request_error
from graph.live.stream import StreamEndpoint, send_single
from graph.media import GRAPHQL_JSON, JSON, Wanted, is_json, read_accept
from graph.request import BODY_BYTES_MAX, GraphRequest, RefusedRequestError, read_body, read_query_string

Headers = list[tuple[bytes, bytes]]

_JSON_HEADERS = [(b"content-type", JSON + b"; charset=utf-8")]
_STRICT_HEADERS = [(b"content-type", GRAPHQL_JSON + b"; charset=utf-8")]
_RETRY_AFTER_S = 5


class Page(NamedTuple):
    """A page for browsers."""

    body: bytes
    headers: Headers


class ClientGoneError(Exception):
    """The client hung up before its request was complete; nobody waits for an answer."""


class GraphEndpoint:
    """Answers GraphQL requests.

    Args:
        find_page: what browsers get to explore the schema with, if anything.
    """

    def __init__(
        self, answering: Answering, streams: StreamEndpoint, find_page: Callable[[], Page | None] = lambda: None
    ) -> None:
        self._answering = answering
        self._streams = streams
        self._find_page = find_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request, as ASGI hands it over."""
        content_type = accept = b""
        length = 0
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value
            elif name == b"accept":
                accept = value
            elif name == b"content-length" and value.isdigit():
                length = int(value)
        wanted = read_accept(accept)
        method = scope["method"]
        headers = _STRICT_HEADERS if wanted.strict else _JSON_HEADERS
        status = 200
        body: bytes | None
        try:
            if method == "POST":
                key = await _receive_post(content_type, length, receive)
            elif method == "GET" and wanted.page and (page := self._find_page()) is not None:
                await _send_whole(send, 200, page.headers, page.body)
                return
            elif method == "GET":
                key = b"?" + scope["query_string"]  # no JSON begins so: the keys of GET and POST never meet
            else:
                raise RefusedRequestError(405, "GraphQL is served to POST and GET.")
            body = None if wanted.events_first else self._answering.find_kept(key)
            if body is None:
                request = read_body(key) if method == "POST" else read_query_string(scope["query_string"])
                refused, body = await self._answer(key, request, method, wanted, receive, send)
                if body is None:
                    return
                status = 400 if refused and wanted.strict else 200
        except RefusedRequestError as refusal:
            status, body = refusal.status, orjson.dumps(request_error(refusal.cause))
            if status == 405:
                headers = [*headers, (b"allow", b"POST" if method == "GET" else b"GET, POST")]
        except ClientGoneError:
            return
        except Exception as error:
            status, body = 500, orjson.dumps(internal_error(error))
        await _send_whole(send, status, headers, body)

    async def _answer(
        self, key: bytes, request: GraphRequest, method: str, wanted: Wanted, receive: Receive, send: Send
    ) -> tuple[bool, bytes | None]:
        """Whether the request was refused, and the answer as JSON; None where it was sent as a stream."""
        prepared = self._answering.prepare(request)
        if isinstance(prepared, RefusedDocument):
            refused, body = True, orjson.dumps({"errors": prepared.errors})
        elif prepared.is_subscription:
            if not wanted.events:
                raise RefusedRequestError(
                    406,
                    "A subscription is watched over WebSocket (graphql-transport-ws, at this address) or, "
                    "with Accept: text/event-stream, as Server-Sent Events.",
                )
            if await self._streams.watch(prepared, request.variables, receive, send):
                return False, None
            message = "Too many connections are open; try again later."
            raise RefusedRequestError(503, message, RateLimited(message, _RETRY_AFTER_S))
        elif method == "GET" and not prepared.is_query:
            raise RefusedRequestError(405, "A GET only reads; send mutations by POST.")
        else:
            reply = await self._answering.answer(key, prepared, request)
            refused, body = reply.refused, reply.body
        if wanted.events_first:
            await send_single(body, send)
            return refused, None
        return refused, body


async def _send_whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _receive_post(content_type: bytes, length: int, receive: Receive) -> bytes:
    if not is_json(content_type):
        raise RefusedRequestError(415, "The body must be sent as Content-Type: application/json.")
    if length > BODY_BYTES_MAX:
        raise _too_large()
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            raise _too_large()
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    if len(body) > BODY_BYTES_MAX:
        raise _too_large()
    return body


def _too_large() -> RefusedRequestError:
    return RefusedRequestError(413, f"The body may have {BODY_BYTES_MAX} bytes.")
