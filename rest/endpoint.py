"""/api/…: the routes of this API as a plain ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from domain.access import Caller
from domain.errors import NotFound
from domain.requests import OK, begin_request
from rest.answer import Answer, is_known
from rest.problems import problem_of
from rest.read_history import ReadHistory
from rest.read_leaderboard import ReadLeaderboard
from rest.read_rank import ReadRank
from rest.request import Head, Request, read_head
from rest.submit_score import SubmitScore
from service.parts import Parts
from wire.asgi import Headers, Receive, Scope, Send
from wire.deadlines import Deadlines
from wire.request import ClientGoneError, RefusedRequestError

PREFIX = "/api/"

_READS, _WRITES = ("GET", "HEAD", "OPTIONS"), ("POST", "OPTIONS")
_WITHOUT_BODY = (204, 304)
_JSON = (b"content-type", b"application/json; charset=utf-8")
# What is read is kept only to be asked for again: who has written reads what they wrote. Not by caches for many, as an
# answer says what its caller has left.
_READ_CACHE = (b"cache-control", b"private, no-cache")
_WRITE_CACHE = (b"cache-control", b"no-store")


class _Route(NamedTuple):
    """What answers, to which methods, and what traces and metrics call it: never what a client chose."""

    path: str
    answer: Callable[[Request], Awaitable[Answer]]
    methods: tuple[str, ...]


class RestEndpoint:
    """Answers REST requests."""

    def __init__(self, parts: Parts) -> None:
        deadlines = Deadlines(parts.deadline_s)
        self._access = parts.access
        self._routes = {
            route.path: route
            for route in (
                _Route("/api/scores", SubmitScore(parts, deadlines), _WRITES),
                _Route("/api/leaderboard", ReadLeaderboard(parts, deadlines), _READS),
            )
        }
        self._of_player = {
            "rank": _Route("/api/users/{user_id}/rank", ReadRank(parts, deadlines), _READS),
            "history": _Route("/api/users/{user_id}/history", ReadHistory(parts, deadlines), _READS),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request, as ASGI hands it over."""
        method = scope["method"]
        head = read_head(scope["headers"])
        current = begin_request("rest", head.request_id)
        current.enter()
        told: Headers = [(b"x-request-id", current.id.encode())]
        code = OK
        try:
            route, user_id = self._find(scope["path"])
            scope["route"], current.operation = route, route.path
            if method not in route.methods:
                raise RefusedRequestError(405, f"This address is for {', '.join(route.methods)}.")
            if method == "OPTIONS":
                status, headers, body = 204, [_allowed(route)], b""
            else:
                caller = await self._identify(head, scope["client"])
                request = Request(caller, head, user_id, scope["query_string"], receive, told)
                status, headers, body = _whole(await route.answer(request), head)
        except ClientGoneError:
            return
        except Exception as error:
            status, headers, body, code = problem_of(error, current.id)
            if status == 405:
                headers.append(_allowed(route))
            elif status == 413:
                # What may be left of the body is not waited for: of a very long one, nothing was.
                headers.append((b"connection", b"close"))
        current.end(code)
        await _send(send, method, status, headers + told, body)

    def _find(self, path: str) -> tuple[_Route, str]:
        route = self._routes.get(path)
        if route is not None:
            return route, ""
        parts = path.split("/")
        if len(parts) == 5 and parts[2] == "users" and parts[4] in self._of_player:
            return self._of_player[parts[4]], parts[3]
        raise NotFound(
            "There is nothing here. The API has /api/scores, /api/leaderboard, /api/users/{user_id}/rank and "
            "/api/users/{user_id}/history."
        )

    async def _identify(self, head: Head, client: tuple[str, int] | None) -> Caller:
        return await self._access.identify(
            None if head.authorization is None else head.authorization.decode("latin-1"),
            client[0] if client else "",
            head.forwarded_for.decode("latin-1"),
        )


def _whole(answer: Answer, head: Head) -> tuple[int, Headers, bytes]:
    if answer.etag is None:
        return 200, [_JSON, _WRITE_CACHE], answer.body
    validators = [(b"etag", answer.etag), _READ_CACHE]
    if head.if_none_match and is_known(answer.etag, head.if_none_match):
        return 304, validators, b""
    return 200, [_JSON, *validators], answer.body


def _allowed(route: _Route) -> tuple[bytes, bytes]:
    return b"allow", ", ".join(route.methods).encode()


async def _send(send: Send, method: str, status: int, headers: Headers, body: bytes) -> None:
    if status not in _WITHOUT_BODY:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
