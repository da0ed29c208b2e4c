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
)
from graphql.error import GraphQLSyntaxError

from graph import cost, limits
from graph.compile.operation import CompiledOperation, compile_operation
from graph.disclosure import OPEN, Disclosure
from graph.errors import shown, too_complex
from graph.roots import Asked, count_roots
from graph.validation import validate

DOCUMENTS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """One operation of a valid document.

    `compiled` is None for what only graphql-core executes. `normalised` is the document of a subscription without what
    makes no difference (spaces, commas, comments), None for other operations. `asked` is what limits count. `is_bulk`:
    whether it submits many scores at once. `depends`: whether its variables decide if it is too dear. `suggestions`:
    whether errors say what may have been meant.
    """

    document: DocumentNode
    operation: OperationDefinitionNode
    operation_name: str | None
    compiled: CompiledOperation | None
    normalised: str | None
    asked: Asked
    is_bulk: bool
    depends: bool
    suggestions: bool

    @property
    def is_query(self) -> bool:
        """Whether it only reads."""
        return self.operation.operation is OperationType.QUERY

    @property
    def is_mutation(self) -> bool:
        """Whether it writes."""
        return self.operation.operation is OperationType.MUTATION

    @property
    def is_subscription(self) -> bool:
        """Whether it is watched."""
        return self.operation.operation is OperationType.SUBSCRIPTION


@dataclass(frozen=True, slots=True)
class RefusedDocument:
    """The `errors` of a document that will not run.

    `is_step`: the client is to send its text; Apollo's clients for phones read that only in an answer of status 200.
    """

    errors: list[dict[str, Any]]
    is_step: bool = False


class Documents:
    """The documents that were used last, refused ones among them: validation is most of an uncached request."""

    def __init__(self, schema: GraphQLSchema, disclosure: Disclosure) -> None:
        self._schema = schema
        self._disclosure = disclosure
        self._kept: OrderedDict[tuple[str, str | None], Prepared | RefusedDocument] = OrderedDict()

    def prepare(self, query: str, operation_name: str | None) -> Prepared | RefusedDocument:
        """The operation `operation_name` of the document `query`, or the only one."""
        key = (query, operation_name)
        prepared = self._kept.get(key)
        if prepared is not None:
            self._kept.move_to_end(key)
            return prepared
        prepared = prepare(self._schema, query, operation_name, self._disclosure)
        if len(query) <= limits.DOCUMENT_LENGTH_MAX:
            self._kept[key] = prepared
            if len(self._kept) > DOCUMENTS_MAX:
                self._kept.popitem(last=False)
        return prepared


def prepare(
    schema: GraphQLSchema, query: str, operation_name: str | None, disclosure: Disclosure = OPEN
) -> Prepared | RefusedDocument:
    """Parse `query`, measure and validate it, and compile its operation if that can be."""
    document = read_document(schema, query, disclosure)
    if isinstance(document, RefusedDocument):
        return document
    operation = _find_operation(document, operation_name)
    if isinstance(operation, GraphQLError):
        return _refused(operation)
    dearest = cost.Costs(schema, document, None).of(operation)
    excess = cost.find_excess(dearest)
    if excess is not None and not operation.variable_definitions:
        return _refused(excess)
    return Prepared(
        document,
        operation,
        operation_name,
        compile_operation(schema, document, operation),
        asked=count_roots(document, operation),
        normalised=print_ast(document) if operation.operation is OperationType.SUBSCRIPTION else None,
        is_bulk=dearest.bulk > 0,
        depends=excess is not None,
        suggestions=disclosure.suggestions,
    )


def read_document(schema: GraphQLSchema, query: str, disclosure: Disclosure = OPEN) -> DocumentNode | RefusedDocument:
    """Parse `query`, measure and validate it."""
    if len(query) > limits.DOCUMENT_LENGTH_MAX:
        return _refused(too_complex(f"A document may have {limits.DOCUMENT_LENGTH_MAX} characters; got {len(query)}."))
    try:
        document = parse(query, max_tokens=limits.TOKENS_MAX)
    except GraphQLSyntaxError as error:
        aborted = error.message.endswith("Parsing aborted.")
        return _refused(too_complex(error.message, error) if aborted else error)
    excess = limits.find_excess(document)
    if excess is not None:
        return _refused(excess)
    errors = validate(schema, document, disclosure)
    return _refused(*errors) if errors else document


def _refused(*errors: GraphQLError) -> RefusedDocument:
    return RefusedDocument(shown(errors))


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
