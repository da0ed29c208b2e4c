"""The file in which an operator lists operations: Apollo's persisted query manifest, or ids and documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from domain.errors import OperatorError
from graph.documents import RefusedDocument, read_document
from graph.request import DOCUMENT_ID_LENGTH_MAX
from graph.schema import GRAPHQL_SCHEMA
from wire.json_text import MalformedJsonError, read_json

MANIFEST_FORMAT = "apollo-persisted-query-manifest"


def read_operations(path: Path) -> dict[str, str]:
    """The documents of the file, by id.

    Raises:
        OperatorError: it cannot be read, is of neither form, or a document in it cannot be served.
    """
    try:
        content = read_json(path.read_bytes())
    except OSError as error:
        raise OperatorError(f"{path}: cannot be read: {error.strerror or error}") from None
    except MalformedJsonError as error:
        raise OperatorError(f"{path}: {error}") from None
    operations = _operations(path, content)
    for document_id, text in operations.items():
        read = read_document(GRAPHQL_SCHEMA, text)
        if isinstance(read, RefusedDocument):
            raise OperatorError(f"{path}: operation {document_id!r}: {read.errors[0]['message']}")
    return operations


def _operations(path: Path, content: Any) -> dict[str, str]:
    if not isinstance(content, dict):
        raise OperatorError(f"{path}: must hold one JSON object")
    if "format" not in content:
        return _checked(path, list(content.items()))
    if content["format"] != MANIFEST_FORMAT or content.get("version") != 1:
        raise OperatorError(f"{path}: the format must be {MANIFEST_FORMAT}, version 1")
    operations = content.get("operations")
    if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
        raise OperatorError(f"{path}: `operations` must be a list of objects with `id` and `body`")
    return _checked(path, [(each.get("id"), each.get("body")) for each in operations])


def _checked(path: Path, pairs: list[tuple[Any, Any]]) -> dict[str, str]:
    operations: dict[str, str] = {}
    for number, (document_id, text) in enumerate(pairs, start=1):
        if not isinstance(document_id, str) or not 1 <= len(document_id) <= DOCUMENT_ID_LENGTH_MAX:
            raise OperatorError(
                f"{path}: operation {number}: the id must have 1 to {DOCUMENT_ID_LENGTH_MAX} characters"
            )
        if not isinstance(text, str):
            raise OperatorError(f"{path}: operation {document_id!r}: the document must be text")
        if operations.setdefault(document_id, text) != text:
            raise OperatorError(f"{path}: operation {document_id!r}: is there twice, with different documents")
    return operations
