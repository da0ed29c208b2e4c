"""POST and GET /graphql: GraphQL over HTTP as a plain ASGI application."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

import orjson

from domain.access import Caller
from domain.errors import RateLimited, ShardboardError
from domain.requests import CurrentRequest, begin_request
from graph.answering import KEPT_OPERATION, Answering, Reply
from graph.documents import RefusedDocument
from graph.errors import internal_error, request_error, sign, status_of
from graph.live.stream import StreamEndpoint, send_single
from graph.media import GRAPHQL_JSON, Wanted, read_accept
from graph.preflight import ADVICE, is_preflighted
from graph.request import (
    BULK_BODY_BYTES_MAX,
    TOO_LARGE,
    GraphRequest,
    read_body,
    read_query_string,
    too_large,
)
from wire.asgi import Headers, Receive, Scope, Send, send_whole
from wire.limit_headers import allowance_headers, refusal_headers
from wire.request import BODY_BYTES_MAX, JSON, ClientGoneError, RefusedRequestError, receive_json

_JSON_HEADERS = [(b"content-type", JSON + b"; charset=utf-8")]
_STRICT_HEADERS = [(b"content-type", GRAPHQL_JSON + b"; charset=utf-8")]
_RETRY_AFTER_S = 5


class Page(NamedTuple):
    """A page for browsers."""

    body: bytes
    headers: Headers


class _Answer(NamedTuple):
    """An answer to send whole. `refused`: nothing of the operation ran."""

    refused: bool
    body: bytes
    headers: Headers


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
        content_type = accept = forwarded_for = b""
        authorization: bytes | None = None
        given_id: bytes | None = None
        length = 0
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value
            elif name == b"accept":
                accept = value
            elif name == b"authorization":
                authorization = value
            elif name == b"x-forwarded-for":
                forwarded_for = b"%b,%b" % (forwarded_for, value) if forwarded_for else value
            elif name == b"content-length" and value.isdigit():
                length = int(value)
            elif name == b"x-request-id":
                given_id = value
        current = begin_request("graphql", given_id)
        wanted = read_accept(accept)
        method = scope["method"]
        headers = _STRICT_HEADERS if wanted.strict else _JSON_HEADERS
        status = 200
        body: bytes | None
        try:
            if method == "GET" and wanted.page and (page := self._find_page()) is not None:
                await send_whole(send, 200, page.headers, page.body)
                return
            caller = await self._identify(authorization, scope["client"], forwarded_for)
            if method == "POST":
                key = await receive_json(
                    content_type, length, receive, bytes_max=BULK_BODY_BYTES_MAX, too_long=TOO_LARGE
                )
            elif method == "GET":
                # EventSource, which asks for events by name, cannot send a header of its own.
                if not (wanted.events or is_preflighted(scope["headers"])):
                    raise RefusedRequestError(400, ADVICE)
                key = b"?" + scope["query_string"]  # no JSON begins so: the keys of GET and POST never meet
            else:
                raise RefusedRequestError(405, "GraphQL is served to POST and GET.")
            body = self._answering.find_kept(key) if caller.reads_freely and not wanted.events_first else None
            if body is None:
                current.enter()
                request = read_body(key) if method == "POST" else read_query_string(scope["query_string"])
                answer = await self._answer(current, key, request, method, wanted, caller, receive, send)
                if answer is None:
                    return
                body = answer.body
                status = 400 if answer.refused and wanted.strict else 200
                headers = [*headers, *answer.headers]
            else:
                current.operation, current.cache_hit = KEPT_OPERATION, True
        except RefusedRequestError as refusal:
            status, body = refusal.status, orjson.dumps(request_error(refusal.cause))
            if status == 405:
                headers = [*headers, (b"allow", b"POST" if method == "GET" else b"GET, POST")]
            elif status == 413:
                # What may be left of the body is not waited for: of a very long one, nothing was.
                headers = [*headers, (b"connection", b"close")]
        except ClientGoneError:
            return
        except ShardboardError as error:
            # Nothing of it ran. Clients that ask for plain JSON take any other status for a broken service.
            status = status_of(error) if wanted.strict or wanted.events_first else 200
            body = orjson.dumps(request_error(error))
            headers = [*headers, *refusal_headers(error)]
        except Exception as error:
            current.enter()
            status, body = 500, orjson.dumps(internal_error(error))
        body, code = sign(body, current.id)
        current.end(code)
        await send_whole(send, status, [*headers, (b"x-request-id", current.id.encode())], body)

    async def _identify(
        self, authorization: bytes | None, client: tuple[str, int] | None, forwarded_for: bytes
    ) -> Caller:
        return await self._answering.access.identify(
            None if authorization is None else authorization.decode("latin-1"),
            client[0] if client else "",
            forwarded_for.decode("latin-1"),
        )

    async def _answer(
        self,
        current: CurrentRequest,
        key: bytes,
        request: GraphRequest,
        method: str,
        wanted: Wanted,
        caller: Caller,
        receive: Receive,
        send: Send,
    ) -> _Answer | None:
        """The answer; None where it was sent as a stream."""
        known = request if request.query else await self._answering.find_text(request)
        prepared = known if isinstance(known, RefusedDocument) else self._answering.prepare(known)
        headers: Headers = []
        if not isinstance(prepared, RefusedDocument):
            current.operation = prepared.asked.name
        if isinstance(prepared, RefusedDocument):
            reply = Reply(orjson.dumps({"errors": prepared.errors}), not prepared.is_step)
        elif len(key) > BODY_BYTES_MAX and not prepared.is_bulk:
            raise too_large()
        elif prepared.is_subscription:
            if not wanted.events:
                raise RefusedRequestError(
                    406,
                    "A subscription is watched over WebSocket (graphql-transport-ws, at this address) or, "
                    "with Accept: text/event-stream, as Server-Sent Events.",
                )
            await self._answering.admit(prepared, caller)
            if await self._streams.watch(current, prepared, request.variables, caller, receive, send):
                return None
            message = "Too many connections are open; try again later."
            raise RefusedRequestError(503, message, RateLimited(message, _RETRY_AFTER_S))
        elif method == "GET" and not prepared.is_query:
            raise RefusedRequestError(405, "A GET only reads; send mutations by POST.")
        else:
            with self._answering.place(len(key)) if wanted.events else nullcontext():
                allowance = await self._answering.admit(prepared, caller)
                context = self._answering.context(caller)
                reply = await self._answering.answer(key, prepared, request, context)
            if context.refusal is not None:
                headers = refusal_headers(context.refusal)
            elif allowance is not None:
                headers = allowance_headers(allowance)
            if reply.retry_after_s is not None:
                headers = [*headers, (b"retry-after", b"%d" % reply.retry_after_s)]
        if wanted.events_first:
            await send_single(current, reply.body, send)
            return None
        return _Answer(reply.refused, reply.body, headers)
