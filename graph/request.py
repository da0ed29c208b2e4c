"""What an HTTP request asks for, read and checked in its form."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qs

from wire.json_text import MalformedJsonError, read_json
from wire.request import BODY_BYTES_MAX, RefusedRequestError

BULK_BODY_BYTES_MAX = 1_000_000
"""Of a body whose operation submits many scores."""

TOO_LARGE = f"The body may have {BODY_BYTES_MAX} bytes, or {BULK_BODY_BYTES_MAX} with submitScores."

DOCUMENT_ID_LENGTH_MAX = 128


class GraphRequest(NamedTuple):
    """One operation to execute. `query` is empty where only the `document_id` was sent."""

    query: str
    operation_name: str | None
    variables: dict[str, Any]
    document_id: str | None = None


def read_body(body: bytes) -> GraphRequest:
    """The request that the JSON of a POST describes.

    Raises:
        RefusedRequestError: it is no JSON object of the form that GraphQL over HTTP prescribes.
    """
    try:
        fields = read_json(body)
    except MalformedJsonError as error:
        raise RefusedRequestError(400, f"The body cannot be read: {error}.") from None
    return _checked(fields)


def too_large() -> RefusedRequestError:
    """The refusal of a body that is too long for its operation, or for any."""
    return RefusedRequestError(413, TOO_LARGE)


def read_query_string(query_string: bytes) -> GraphRequest:
    """The request that the parameters of a GET describe.

    Raises:
        RefusedRequestError: they are not of the form that GraphQL over HTTP prescribes.
    """
    if len(query_string) > BODY_BYTES_MAX:
        raise RefusedRequestError(414, f"The query string may have {BODY_BYTES_MAX} bytes; send a POST.")
    try:
        text = query_string.decode("ascii")
        given = parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=20)
        twice = next((name for name, values in given.items() if len(values) > 1), None)
        if twice is not None:
            raise ValueError(f"one of them is there twice: {twice[:60]!r}")
        fields: dict[str, Any] = {name: values[0] for name, values in given.items()}
        for name in ("variables", "extensions"):
            if fields.get(name):
                fields[name] = read_json(fields[name])
            else:
                fields.pop(name, None)
    except ValueError as error:
        raise RefusedRequestError(400, f"The parameters of the URL cannot be read: {error}.") from None
    return _checked(fields)


def _checked(fields: Any) -> GraphRequest:
    if type(fields) is not dict:
        raise RefusedRequestError(400, "The body must be one JSON object with the entry `query`, not a batch.")
    query = fields.get("query")
    document_id = _document_id(fields.get("extensions"))
    if query is None and document_id is not None:
        query = ""
    elif type(query) is not str or not query:
        raise RefusedRequestError(400, "The entry `query` must hold the text of a GraphQL document.")
    operation_name = fields.get("operationName")
    if operation_name is not None and type(operation_name) is not str:
        raise RefusedRequestError(400, "The entry `operationName` must be a string or null.")
    variables = fields.get("variables")
    if variables is None:
        variables = {}
    elif type(variables) is not dict:
        raise RefusedRequestError(400, "The entry `variables` must be an object or null.")
    return GraphRequest(query, operation_name, variables, document_id)


def _document_id(extensions: Any) -> str | None:
    """What Apollo's clients name a document by."""
    if extensions is None:
        return None
    if type(extensions) is not dict:
        raise RefusedRequestError(400, "The entry `extensions` must be an object or null.")
    persisted = extensions.get("persistedQuery")
    if persisted is None:
        return None
    if type(persisted) is not dict or persisted.get("version") != 1:
        raise RefusedRequestError(400, "The entry `extensions.persistedQuery` must be an object of `version` 1.")
    document_id = persisted.get("sha256Hash")
    if type(document_id) is not str or not 1 <= len(document_id) <= DOCUMENT_ID_LENGTH_MAX:
        raise RefusedRequestError(
            400, f"`extensions.persistedQuery.sha256Hash` must have 1 to {DOCUMENT_ID_LENGTH_MAX} characters."
        )
    return document_id
