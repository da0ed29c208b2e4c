"""Documents, parsed, checked and compiled once, and kept."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    parse,
    print_ast,
    validate,
)
from graphql.error import GraphQLSyntaxError
from graphql.validation.validate import ValidationAbortedError

from graph.compile.operation import CompiledOperation, compile_operation
from graph.errors import shown, too_complex
from graph.limits import TOKENS_MAX, find_excess

DOCUMENTS_MAX = 1_000
KEPT_LENGTH_MAX = 32_768


@dataclass(frozen=True, slots=True)
class Prepared:
    """One operation of a valid document.

    `compiled` is None for what only graphql-core executes. `normalised` is the document of a subscription without what
    makes no difference (spaces, commas, comments), None for other operations.
    """

    document: DocumentNode
    operation: OperationDefinitionNode
    operation_name: str | None
    compiled: CompiledOperation | None
    normalised: str | None

    @property
    def is_query(self) -> bool:
        """Whether it only reads."""
        return self.operation.operation is OperationType.QUERY

    @property
    def is_subscription(self) -> bool:
        """Whether it is watched."""
        return self.operation.operation is OperationType.SUBSCRIPTION


@dataclass(frozen=True, slots=True)
class RefusedDocument:
    """The `errors` of a document that will never run."""

    errors: list[dict[str, Any]]


class Documents:
    """The documents that were used last, refused ones among them: validation is most of an uncached request."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._kept: OrderedDict[tuple[str, str | None], Prepared | RefusedDocument] = OrderedDict()

    def prepare(self, query: str, operation_name: str | None) -> Prepared | RefusedDocument:
        """The operation `operation_name` of the document `query`, or the only one."""
        key = (query, operation_name)
        prepared = self._kept.get(key)
        if prepared is not None:
            self._kept.move_to_end(key)
            return prepared
        prepared = prepare(self._schema, query, operation_name)
        if len(query) <= KEPT_LENGTH_MAX:
            self._kept[key] = prepared
            if len(self._kept) > DOCUMENTS_MAX:
                self._kept.popitem(last=False)
        return prepared


def prepare(schema: GraphQLSchema, query: str, operation_name: str | None) -> Prepared | RefusedDocument:
    """Parse `query`, measure and validate it, and compile its operation if that can be."""
    try:
        document = parse(query, max_tokens=TOKENS_MAX)
    except GraphQLSyntaxError as error:
        aborted = error.message.endswith("Parsing aborted.")
        return RefusedDocument(shown([too_complex(error.message, error) if aborted else error]))
    excess = find_excess(document)
    if excess is not None:
        return RefusedDocument(shown([excess]))
    errors = validate(schema, document)
    if errors:
        return RefusedDocument(
            shown(too_complex(e.message, e) if isinstance(e, ValidationAbortedError) else e for e in errors)
        )
    operation = _find_operation(document, operation_name)
    if isinstance(operation, GraphQLError):
        return RefusedDocument(shown([operation]))
    normalised = print_ast(document) if operation.operation is OperationType.SUBSCRIPTION else None
    return Prepared(document, operation, operation_name, compile_operation(schema, document, operation), normalised)


def _find_operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | GraphQLError:
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    if name is not None:
        operations = [each for each in operations if each.name and each.name.value == name]
        if not operations:
            return GraphQLError(f"Unknown operation named '{name}'.")
    if len(operations) > 1:
        return GraphQLError("Must provide operation name if query contains multiple operations.")
    if not operations:
        return GraphQLError("Must provide an operation.")
    return operations[0]
