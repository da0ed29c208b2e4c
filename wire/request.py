"""What comes in over HTTP, read within bounds."""

from __future__ import annotations

from functools import lru_cache

from domain.errors import BadUserInput, ShardboardError
from wire.asgi import Receive

JSON = b"application/json"

BODY_BYTES_MAX = 65_536
"""Of the body of a request, the message of a socket, or the query string of a GET."""

# What is too long, but not by so much, is read to its end before it is refused: who still sends when a connection is
# closed never sees the answer.
_DROPPED_BYTES_MAX = 4_000_000


class RefusedRequestError(Exception):
    """The request is answered with `status` and the error `cause`, and nothing of it runs."""

    def __init__(self, status: int, message: str, cause: ShardboardError | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.cause = cause or BadUserInput(message)


class ClientGoneError(Exception):
    """The client hung up before its request was complete; nobody waits for an answer."""


async def receive_json(content_type: bytes, length: int, receive: Receive, *, bytes_max: int, too_long: str) -> bytes:
    """The body of a request that says it is JSON, unread.

    Args:
        length: what the header `Content-Length` says; 0 without it.
        bytes_max, too_long: how long it may be, and what is said of a longer one.

    Raises:
        RefusedRequestError: it is of another type, or too long.
        ClientGoneError: it never came to its end.
    """
    if not is_json(content_type):
        raise RefusedRequestError(415, "The body must be sent as Content-Type: application/json.")
    if length > _DROPPED_BYTES_MAX:
        raise RefusedRequestError(413, too_long)
    message = await receive()
    body: bytes = message.get("body", b"")
    received = len(body)
    while message.get("more_body") and received <= _DROPPED_BYTES_MAX:
        message = await receive()
        received += len(message.get("body", b""))
        if received <= bytes_max:
            body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    if received > bytes_max:
        raise RefusedRequestError(413, too_long)
    return body


@lru_cache(256)
def is_json(content_type: bytes) -> bool:
    """Whether a body of this type is read: JSON, in UTF-8 as JSON always is."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(b";"))
    charsets = [value.strip(b'"') for name, _, value in (p.partition(b"=") for p in parameters) if name == b"charset"]
    return media_type == JSON and all(charset in (b"utf-8", b"utf8") for charset in charsets)
