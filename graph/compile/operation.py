"""A whole operation, compiled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
)
from strawberry.types.fields.resolver import StrawberryResolver

from graph.compile.arguments import Values, compile_arguments, compile_variables
from graph.compile.selection import NotCompiledError, collect_fields
from graph.compile.writer import Writer, compile_writer
from graph.context import Context

Arguments = dict[str, Any]


class CompiledInfo(NamedTuple):
    """What stands for `strawberry.Info` in a compiled operation: root resolvers use its context and nothing else."""

    context: Context


@dataclass(frozen=True, slots=True)
class RootField:
    """One entry of the answer's `data`."""

    key: str
    name: str
    nodes: list[FieldNode]
    nullable: bool
    resolver: Callable[..., Awaitable[Any]]
    info_name: str
    arguments: Callable[[Values], Arguments]
    write: Writer

    def resolve(self, context: Context, arguments: Arguments) -> Awaitable[Any]:
        """Start the resolver. `arguments` belong to this call alone."""
        arguments[self.info_name] = CompiledInfo(context)
        return self.resolver(None, **arguments)


@dataclass(frozen=True, slots=True)
class CompiledOperation:
    """An operation ready to run. `typenames` are the entries of `data` that ask for the name of the root type."""

    serial: bool
    fields: tuple[RootField, ...]
    typenames: dict[str, str]
    keys: tuple[str, ...]
    variables: Callable[[Mapping[str, Any]], Values]

    @property
    def only(self) -> RootField | None:
        """The one entry of `data`, where there is no other."""
        return self.fields[0] if len(self.keys) == len(self.fields) == 1 else None

    def bind(self, raw_variables: Mapping[str, Any]) -> list[Arguments]:
        """The arguments of each root field.

        Raises:
            RefusedValueError: graphql-core has to judge the variables. Nothing has run.
        """
        values = self.variables(raw_variables)
        return [field.arguments(values) for field in self.fields]

    async def resolve(self, context: Context, arguments: list[Arguments]) -> dict[str, Any]:
        """What each resolver returned or raised, by response key.

        A query's resolvers run together. A mutation's run one after the other, and stop after one that failed: what
        follows from that is graphql-core's to say.
        """
        outcomes: dict[str, Any] = {}
        if not self.serial:
            calls = [field.resolve(context, given) for field, given in zip(self.fields, arguments, strict=True)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            return {field.key: result for field, result in zip(self.fields, results, strict=True)}
        for field, given in zip(self.fields, arguments, strict=True):
            try:
                outcomes[field.key] = await field.resolve(context, given)
            except Exception as error:
                outcomes[field.key] = error
                break
        return outcomes

    def write(self, outcomes: Mapping[str, Any]) -> dict[str, Any] | None:
        """The `data` of the answer; None where graphql-core has to write it, errors and all."""
        if len(outcomes) < len(self.fields) or any(isinstance(value, Exception) for value in outcomes.values()):
            return None
        try:
            written = {field.key: field.write(outcomes[field.key]) for field in self.fields}
        except Exception:
            return None
        return {key: written[key] if key in written else self.typenames[key] for key in self.keys}


def compile_operation(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> CompiledOperation | None:
    """`operation`, which is valid, compiled; None when it holds something that only graphql-core executes."""
    root_type = schema.get_root_type(operation.operation)
    if root_type is None or operation.operation is OperationType.SUBSCRIPTION or operation.directives:
        return None
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    try:
        collected = collect_fields(fragments, root_type, [operation.selection_set])
        typenames = {key: root_type.name for key, nodes in collected.items() if nodes[0].name.value == "__typename"}
        fields = []
        for key, nodes in collected.items():
            if key not in typenames:
                field = root_type.fields.get(nodes[0].name.value)
                if field is None:
                    return None  # __schema and __type
                write = compile_writer(field.type, nodes, fragments)
                fields.append(_root_field(key, nodes, field, write))
        variables = compile_variables(schema, operation.variable_definitions or ())
    except NotCompiledError:
        return None
    serial = operation.operation is OperationType.MUTATION
    return CompiledOperation(serial, tuple(fields), typenames, tuple(collected), variables)


def _root_field(key: str, nodes: list[FieldNode], field: GraphQLField, write: Writer) -> RootField:
    definition = field.extensions["strawberry-definition"]
    resolver: StrawberryResolver[Any] | None = definition.base_resolver
    if resolver is None or not resolver.is_async or not resolver.info_parameter or not resolver.self_parameter:
        raise NotCompiledError
    if resolver.parent_parameter or resolver.root_parameter or definition.extensions:
        raise NotCompiledError
    return RootField(
        key=key,
        name=nodes[0].name.value,
        nodes=nodes,
        nullable=not isinstance(field.type, GraphQLNonNull),
        resolver=cast(Callable[..., Awaitable[Any]], resolver.wrapped_func),
        info_name=resolver.info_parameter.name,
        arguments=compile_arguments(field, nodes[0]),
        write=write,
    )
