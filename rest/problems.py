"""How failures leave this API: problem details (RFC 9457) with a code of the contract."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from domain.errors import (
    BadUserInput,
    Conflict,
    ErrorCode,
    Forbidden,
    NotFound,
    OperatorError,
    RateLimited,
    ShardboardError,
    TookTooLong,
    Unauthenticated,
    Unavailable,
)
from rest.models import Problem
from wire.asgi import Headers
from wire.faults import MASKED_MESSAGE, log_fault
from wire.limit_headers import refusal_headers
from wire.request import RefusedRequestError

MEDIA_TYPE = b"application/problem+json"

_STATUSES: dict[type[ShardboardError], int] = {
    BadUserInput: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    RateLimited: 429,
    Unavailable: 503,
    TookTooLong: 504,
}


class Told(NamedTuple):
    """How a client is told of a failure."""

    status: int
    headers: Headers
    body: bytes
    code: ErrorCode


def problem_of(error: Exception, request_id: str | None = None) -> Told:
    """How the client of the request `request_id` is told of `error`; what nobody expected is logged and masked."""
    if isinstance(error, RefusedRequestError):
        return _problem(error.status, error.cause, request_id)
    if isinstance(error, ShardboardError) and not isinstance(error, OperatorError):
        return _problem(_STATUSES.get(type(error), 400), error, request_id)
    code = ErrorCode.INTERNAL_SERVER_ERROR
    masked = Problem("about:blank", title_of(500), 500, MASKED_MESSAGE, code.value, id=log_fault(error))
    return Told(500, _headers(), msgspec.json.encode(masked), code)


def refusal(status: int, error: ShardboardError) -> tuple[bytes, bytes]:
    """The media type and the body of an answer that is given before a request reaches the API."""
    return MEDIA_TYPE, _problem(status, error, None).body


def _problem(status: int, error: ShardboardError, request_id: str | None) -> Told:
    retry_after = error.retry_after_s if isinstance(error, RateLimited | Unavailable) else None
    problem = Problem(
        "about:blank", title_of(status), status, _detail(error), error.code.value, retry_after, request_id
    )
    return Told(status, _headers() + refusal_headers(error), msgspec.json.encode(problem), error.code)


def _headers() -> Headers:
    return [(b"content-type", MEDIA_TYPE), (b"cache-control", b"no-store")]


def _detail(error: ShardboardError) -> str:
    message = str(error)
    # The shards and what stands before them speak of a session's id as GraphQL does. They quote nobody.
    return message.replace("submissionId", "submission_id") if isinstance(error, Conflict | Unavailable) else message


@lru_cache(64)
def title_of(status: int) -> str:
    """What a status is called (RFC 9110); Python's own table has some older names."""
    return {413: "Content Too Large", 414: "URI Too Long"}.get(status) or HTTPStatus(status).phrase
