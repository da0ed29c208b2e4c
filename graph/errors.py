"""How failures leave the service: with a code of the contract, and without a word about its insides."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from graphql import GraphQLError

from domain.errors import ErrorCode, OperatorError, QueryTooComplex, RateLimited, ShardboardError

logger = logging.getLogger(__name__)

MASKED_MESSAGE = "Internal server error."


def code_and_message(error: Exception) -> tuple[ErrorCode, str]:
    """The code and the message of `error` that a client may see. What is no expected failure is logged and masked."""
    if isinstance(error, ShardboardError) and not isinstance(error, OperatorError):
        return error.code, str(error)
    _log(error, uuid4().hex, None)
    return ErrorCode.INTERNAL_SERVER_ERROR, MASKED_MESSAGE


def shown(errors: Iterable[GraphQLError]) -> list[dict[str, Any]]:
    """The `errors` entry of an answer."""
    return [_shown(error) for error in errors]


def request_error(error: ShardboardError) -> dict[str, Any]:
    """The whole answer to a request that was refused before any of its operation ran."""
    return {"errors": [{"message": str(error), "extensions": _extensions(error)}]}


def internal_error(error: Exception) -> dict[str, Any]:
    """The whole answer to a request that a fault of the service ended; the fault is logged."""
    error_id = uuid4().hex
    _log(error, error_id, None)
    return {"errors": [{"message": MASKED_MESSAGE, "extensions": _masked_extensions(error_id)}]}


def _shown(error: GraphQLError) -> dict[str, Any]:
    cause = error.original_error
    if isinstance(cause, ShardboardError) and not isinstance(cause, OperatorError):
        message, extensions = str(cause), _extensions(cause)
    elif _is_callers_fault(error):
        message, extensions = error.message, {"code": ErrorCode.BAD_USER_INPUT.value}
    else:
        error_id = uuid4().hex
        _log(cause or error, error_id, error.path)
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
    if isinstance(error, RateLimited):
        extensions["retryAfter"] = error.retry_after_s
    return extensions


def _masked_extensions(error_id: str) -> dict[str, Any]:
    return {"code": ErrorCode.INTERNAL_SERVER_ERROR.value, "id": error_id}


def too_complex(message: str, error: GraphQLError | None = None) -> GraphQLError:
    """`message` as the refusal of a document that would cost too much, at the place of `error` if there is one."""
    return GraphQLError(
        message,
        source=error.source if error else None,
        positions=error.positions if error else None,
        original_error=QueryTooComplex(message),
    )


def _log(error: Exception, error_id: str, path: list[str | int] | None) -> None:
    logger.error(
        "Unexpected error %s at %s",
        error_id,
        ".".join(map(str, path or ["request"])),
        exc_info=error,
        extra={"error_id": error_id, "graphql_path": path},
    )
