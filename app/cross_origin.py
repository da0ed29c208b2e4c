"""Which pages of other sites may use the API from a browser: those of listed origins (CORS), and none by default."""

from __future__ import annotations

from collections.abc import Sequence

from app.origins import Origins
from app.refusals import describe_refusal
from domain.errors import Forbidden
from wire.asgi import Endpoint, Headers, Message, Receive, Scope, Send, send_whole

_ALLOWED_HEADERS = (
    b"accept, authorization, cache-control, content-type, graphql-require-preflight, apollo-require-preflight, "
    b"x-apollo-operation-name, x-apollo-operation-id, apollographql-client-name, apollographql-client-version, "
    b"idempotency-key, if-none-match, x-request-id, x-shardboard-signature, x-shardboard-time"
)
_EXPOSED_HEADERS = (
    b"etag, link, ratelimit-limit, ratelimit-remaining, ratelimit-reset, ratelimit-policy, retry-after, x-request-id"
)
# As long as Chrome keeps an answer at most.
_MAX_AGE_S = b"7200"


class CrossOrigin:
    """Tells browsers which origins may use an endpoint and read its answers.

    Cookies are no credential here, so none are asked for.
    """

    def __init__(self, endpoint: Endpoint, origins: Origins) -> None:
        self._endpoint = endpoint
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request, as ASGI hands it over."""
        origin = asks = None
        for name, value in scope["headers"]:
            if name == b"origin":
                origin = value
            elif name == b"access-control-request-method":
                asks = value
        added = self._headers(origin)
        if scope["method"] == "OPTIONS" and origin is not None and asks is not None:
            await self._answer_preflight(scope["path"], origin, added, send)
            return

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _joined(message.get("headers", ()), added)}
            await send(message)

        await self._endpoint(scope, receive, send_with)

    def _headers(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        if self._origins.any:
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED_HEADERS)]
        # Whoever keeps the answer must not give it to another origin.
        vary = [(b"vary", b"Origin")]
        if origin is None or not self._origins.allows(origin):
            return vary
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED_HEADERS),
            *vary,
        ]

    async def _answer_preflight(self, path: str, origin: bytes, added: Headers, send: Send) -> None:
        if self._origins.allows(origin):
            allowed = [
                (b"access-control-allow-methods", b"GET, POST"),
                (b"access-control-allow-headers", _ALLOWED_HEADERS),
                (b"access-control-max-age", _MAX_AGE_S),
            ]
            await send({"type": "http.response.start", "status": 204, "headers": [*added, *allowed]})
            await send({"type": "http.response.body", "body": b""})
            return
        media_type, body = describe_refusal(path, 403, Forbidden("Pages of this origin may not use the API."))
        await send_whole(send, 403, [*added, (b"content-type", media_type)], body)


def _joined(headers: Sequence[tuple[bytes, bytes]], added: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Both; a `Vary` that is there already gets the more to say."""
    mine = dict(added)
    vary = b", ".join([value for name, value in headers if name == b"vary"] + [mine.pop(b"vary", b"")]).strip(b", ")
    joined = [*(pair for pair in headers if pair[0] != b"vary"), *mine.items()]
    return [*joined, (b"vary", vary)] if vary else joined


async def refuse_socket(receive: Receive, send: Send) -> None:
    """Answer an upgrade with 403."""
    await receive()
    await send({"type": "websocket.close", "code": 4403})
