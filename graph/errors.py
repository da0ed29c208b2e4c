"""How failures leave the service: with a code of the contract, and without a word about its insides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from graphql import GraphQLError

from domain import tracing
from domain.errors import ErrorCode, OperatorError, QueryTooComplex, RateLimited, ShardboardError, Unavailable
from domain.requests import OK, OTHER
from wire.faults import MASKED_MESSAGE, log_fault

_CODES = frozenset(ErrorCode)
_FAILED = b'{"errors":'
_STATUSES = {
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.UNAVAILABLE: 503,
}


def code_and_message(error: Exception) -> tuple[ErrorCode, str]:
    """The code and the message of `error` that a client may see.

    What is no expected failure is logged whole, and masked but for the id that it has in the log.
    """
    if isinstance(error, ShardboardError) and not isinstance(error, OperatorError):
        return error.code, str(error)
    return ErrorCode.INTERNAL_SERVER_ERROR, masked_message(log_fault(error))


def masked_message(error_id: str) -> str:
    """What a client is told of a fault where the message is all it gets; the log has the rest under this id."""
    return f"Internal server error; its id is {error_id}."


def shown(errors: Iterable[GraphQLError]) -> list[dict[str, Any]]:
    """The `errors` entry of an answer."""
    return [_shown(error) for error in errors]


def request_error(error: ShardboardError) -> dict[str, Any]:
    """The whole answer to a request that was refused before any of its operation ran."""
    return {"errors": [{"message": str(error), "extensions": _extensions(error)}]}


def internal_error(error: Exception) -> dict[str, Any]:
    """The whole answer to a request that a fault of the service ended; the fault is logged."""
    error_id = log_fault(error)
    return {"errors": [{"message": MASKED_MESSAGE, "extensions": _masked_extensions(error_id)}]}


def code_of(errors: Sequence[dict[str, Any]]) -> str:
    """The code of the first error of an answer; what is none of the contract's is `other`."""
    code: str = errors[0]["extensions"]["code"]
    return code if code in _CODES else OTHER


def with_id(errors: Iterable[dict[str, Any]], request_id: str) -> list[dict[str, Any]]:
    """The errors of an answer with the id of their request; a fault keeps that by which the log has it."""
    return [
        error | {"extensions": {**error["extensions"], "id": error["extensions"].get("id", request_id)}}
        for error in errors
    ]


def sign(body: bytes, request_id: str) -> tuple[bytes, str]:
    """An answer, with the id of its request in each of its errors if it has any, and its code."""
    # What has errors begins with them, and hardly any answer has.
    if not body.startswith(_FAILED):
        return body, OK
    answer = orjson.loads(body)
    code = code_of(answer["errors"])
    answer["errors"] = with_id(answer["errors"], request_id)
    return orjson.dumps(answer), code


def status_of(error: ShardboardError) -> int:
    """The HTTP status of the answer to a request that was refused before any of its operation ran."""
    return _STATUSES.get(error.code, 400)


def _shown(error: GraphQLError) -> dict[str, Any]:
    cause = error.original_error
    if isinstance(cause, ShardboardError) and not isinstance(cause, OperatorError):
        message, extensions = str(cause), _extensions(cause)
    elif _is_callers_fault(error):
        message, extensions = error.message, {"code": ErrorCode.BAD_USER_INPUT.value}
    else:
        path = error.path
        error_id = log_fault(cause or error, ".".join(map(str, path)) if path else "request", graphql_path=path)
        message = MASKED_MESSAGE
        extensions = _masked_extensions(error_id)
    entry: dict[str, Any] = {"message": message}
    if error.locations:
        entry["locations"] = [{"line": line, "column": column} for line, column in error.locations]
    if error.path:
        entry["path"] = error.path
    entry["extensions"] = extensions
    return entry


def _is_callers_fault(error: GraphQLError) -> bool:
    """Whether the GraphQL library itself refused the document, a variable or an argument.

    Refusals before execution have no path. During it, a refused argument names the node of the argument, while a
    value that a resolver returned and its type cannot hold, a fault of the service, names none.
    """
    cause = error.original_error
    if cause is None or isinstance(cause, GraphQLError):
        return error.path is None or (cause is not None and bool(cause.nodes))
    return False


def _extensions(error: ShardboardError) -> dict[str, Any]:
    extensions: dict[str, Any] = {"code": error.code.value}
    if tracing.tracer is not None:
        tracing.tracer.failed(error.code.value, is_fault=isinstance(error, Unavailable))
    if isinstance(error, (RateLimited, Unavailable)) and error.retry_after_s is not None:
        extensions["retryAfter"] = error.retry_after_s
    return extensions


def _masked_extensions(error_id: str) -> dict[str, Any]:
    if tracing.tracer is not None:
        tracing.tracer.failed(ErrorCode.INTERNAL_SERVER_ERROR.value, is_fault=True)
    return {"code": ErrorCode.INTERNAL_SERVER_ERROR.value, "id": error_id}


def too_complex(message: str, error: GraphQLError | None = None) -> GraphQLError:
    """`message` as the refusal of a document that would cost too much, at the place of `error` if there is one."""
    return GraphQLError(
        message,
        source=error.source if error else None,
        positions=error.positions if error else None,
        original_error=QueryTooComplex(message),
    )
