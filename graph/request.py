"""What an HTTP request asks for, read and checked in its form."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qs

import orjson

from domain.errors import BadUserInput, ShardboardError

BODY_BYTES_MAX = 1_000_000


class GraphRequest(NamedTuple):
    """One operation to execute."""

    query: str
    operation_name: str | None
    variables: dict[str, Any]


class RefusedRequestError(Exception):
    """The request is answered with `status` and the error `cause`, and nothing of it runs."""

    def __init__(self, status: int, message: str, cause: ShardboardError | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.cause = cause or BadUserInput(message)


def read_body(body: bytes) -> GraphRequest:
    """The request that the JSON of a POST describes.

    Raises:
        RefusedRequestError: it is no JSON object of the form that GraphQL over HTTP prescribes.
    """
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedRequestError(400, f"The body is not valid JSON: {error}.") from None
    return _checked(fields)


def read_query_string(query_string: bytes) -> GraphRequest:
    """The request that the parameters of a GET describe.

    Raises:
        RefusedRequestError: they are not of the form that GraphQL over HTTP prescribes.
    """
    try:
        text = query_string.decode("ascii")
        given = parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=20)
        fields: dict[str, Any] = {name: values[-1] for name, values in given.items()}
        for name in ("variables", "extensions"):
            if fields.get(name):
                fields[name] = orjson.loads(fields[name])
            else:
                fields.pop(name, None)
    except ValueError as error:
        raise RefusedRequestError(400, f"The parameters of the URL cannot be read: {error}.") from None
    return _checked(fields)


def _checked(fields: Any) -> GraphRequest:
    if type(fields) is not dict:
        raise RefusedRequestError(400, "The body must be one JSON object with the entry `query`, not a batch.")
    query = fields.get("query")
    if type(query) is not str or not query:
        raise RefusedRequestError(400, "The entry `query` must hold the text of a GraphQL document.")
    operation_name = fields.get("operationName")
    if operation_name is not None and type(operation_name) is not str:
        raise RefusedRequestError(400, "The entry `operationName` must be a string or null.")
    variables = fields.get("variables")
    if variables is None:
        variables = {}
    elif type(variables) is not dict:
        raise RefusedRequestError(400, "The entry `variables` must be an object or null.")
    extensions = fields.get("extensions")
    if extensions is not None and type(extensions) is not dict:
        raise RefusedRequestError(400, "The entry `extensions` must be an object or null.")
    return GraphRequest(query, operation_name, variables)
