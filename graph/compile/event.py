"""One event of a subscription, compiled into its answer."""

from __future__ import annotations

from typing import NamedTuple

from graphql import DocumentNode, FragmentDefinitionNode, GraphQLSchema, OperationDefinitionNode

from graph.compile.selection import NotCompiledError, collect_fields
from graph.compile.writer import Writer, compile_writer


class CompiledEvent(NamedTuple):
    """Writes the only entry of `data`, named `key`, from the event that its resolver yielded."""

    key: str
    write: Writer


def compile_event(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> CompiledEvent | None:
    """A valid subscription's events, compiled; None when they hold something that only graphql-core executes."""
    root_type = schema.subscription_type
    if root_type is None or operation.directives:
        return None
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    try:
        ((key, nodes),) = collect_fields(fragments, root_type, [operation.selection_set]).items()
        return CompiledEvent(key, compile_writer(root_type.fields[nodes[0].name.value].type, nodes, fragments))
    except NotCompiledError:
        return None
