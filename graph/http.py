"""POST and GET /graphql: GraphQL over HTTP as a plain ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
from strawberry.http.ides import get_graphql_ide_html

from graph.answering import Answering, Reply
from graph.errors import internal_error, request_error
from graph.media import GRAPHQL_JSON, HTML, JSON, is_json, read_accept
from graph.request import BODY_BYTES_MAX, RefusedRequestError, read_body, read_query_string
from service.parts import Parts

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_JSON_HEADERS = [(b"content-type", JSON + b"; charset=utf-8")]
_STRICT_HEADERS = [(b"content-type", GRAPHQL_JSON + b"; charset=utf-8")]
_HTML_HEADERS = [(b"content-type", HTML + b"; charset=utf-8")]


class ClientGoneError(Exception):
    """The client hung up before its request was complete; nobody waits for an answer."""


class GraphEndpoint:
    """Answers GraphQL requests.

    Args:
        parts: what the use cases work with.
        graphiql: whether browsers get a page to explore the schema.
    """

    def __init__(self, parts: Parts, *, graphiql: bool) -> None:
        self._answering = Answering(parts)
        self._page = get_graphql_ide_html("graphiql").encode() if graphiql else None

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
        try:
            if method == "POST":
                body = await self._post(content_type, length, receive)
            elif method == "GET" and wanted.page and self._page is not None:
                body, headers = self._page, _HTML_HEADERS
            elif method == "GET":
                body = await self._get(scope["query_string"])
            else:
                raise RefusedRequestError(405, "GraphQL is served to POST and GET.")
            if not isinstance(body, bytes):
                status = 400 if body.refused and wanted.strict else 200
                body = body.body
        except RefusedRequestError as refusal:
            status, body = refusal.status, orjson.dumps(request_error(refusal.cause))
            if status == 405:
                headers = [*headers, (b"allow", b"POST" if method == "GET" else b"GET, POST")]
        except ClientGoneError:
            return
        except Exception as error:
            status, body = 500, orjson.dumps(internal_error(error))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _post(self, content_type: bytes, length: int, receive: Receive) -> bytes | Reply:
        if not is_json(content_type):
            raise RefusedRequestError(415, "The body must be sent as Content-Type: application/json.")
        body = await _receive_body(receive, length)
        kept = self._answering.find_kept(body)
        return kept or await self._answering.answer(body, read_body(body), may_write=True)

    async def _get(self, query_string: bytes) -> bytes | Reply:
        key = b"?" + query_string  # no JSON begins so: the keys of GET and POST never meet
        kept = self._answering.find_kept(key)
        return kept or await self._answering.answer(key, read_query_string(query_string), may_write=False)


async def _receive_body(receive: Receive, length: int) -> bytes:
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
