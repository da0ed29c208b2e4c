"""The arguments of one root field, made from the variables of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    ListValueNode,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    type_from_ast,
)
from graphql.type import is_input_type, is_required_argument
from graphql.utilities.coerce_input_value import coerce_input_literal

from graph.compile.reader import (
    Reader,
    RefusedValueError,
    compile_reader,
    converted,
    default_of,
    make_object,
)
from graph.compile.selection import NotCompiledError

Values = dict[str, Any]
"""The variables that have a value, as resolvers get them."""

Literal = Callable[[Values], Any]
"""What a value in a document comes to with the given variables; Undefined for a variable that has none."""


def compile_variables(
    schema: GraphQLSchema, definitions: Iterable[VariableDefinitionNode]
) -> Callable[[Mapping[str, Any]], Values]:
    """The function that reads the variables of a request; it raises RefusedValueError.

    Raises:
        NotCompiledError: a variable is of a type that only graphql-core reads.
    """
    readers: list[tuple[str, Reader, bool]] = []
    defaults: list[tuple[str, Callable[[], Any]]] = []
    for definition in definitions:
        name = definition.variable.name.value
        type_ = type_from_ast(schema, definition.type)
        if not is_input_type(type_) or definition.directives:
            raise NotCompiledError
        readers.append((name, compile_reader(type_), isinstance(type_, GraphQLNonNull)))
        if definition.default_value is not None:
            defaults.append((name, _constant(definition.default_value, type_)))
    default_names = {name for name, _ in defaults}

    def read(raw: Mapping[str, Any]) -> Values:
        values = {}
        for name, read_value, required in readers:
            if name in raw:
                values[name] = read_value(raw[name])
            elif required and name not in default_names:
                raise RefusedValueError
        for name, default in defaults:
            if name not in raw:
                values[name] = default()
        return values

    return read


def compile_arguments(field: GraphQLField, node: FieldNode) -> Callable[[Values], dict[str, Any]]:
    """The function that makes the keyword arguments of the resolver of `field`; it raises RefusedValueError.

    Raises:
        NotCompiledError: an argument holds something that only graphql-core reads.
    """
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    constants: dict[str, Any] = {}
    literals: list[tuple[str, Literal, bool]] = []
    for name, argument in field.args.items():
        python_name: str = argument.extensions["strawberry-definition"].python_name
        default = default_of(argument)
        if default is not Undefined:
            constants[python_name] = default
        if name in given:
            literals.append((python_name, _literal(given[name], argument.type), is_required_argument(argument)))

    def make(values: Values) -> dict[str, Any]:
        arguments = constants.copy()
        for python_name, literal, required in literals:
            value = literal(values)
            if value is not Undefined:
                arguments[python_name] = value
            elif required:
                raise RefusedValueError
        return arguments

    return make


def _literal(node: ValueNode, type_: GraphQLInputType) -> Literal:
    if isinstance(node, VariableNode):
        return _variable(node.name.value, isinstance(type_, GraphQLNonNull))
    if not _has_variables(node):
        constant = _constant(node, type_)
        return lambda _values: constant()
    inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    if isinstance(inner, GraphQLList):
        return _list(node, inner)
    if isinstance(inner, GraphQLInputObjectType) and isinstance(node, ObjectValueNode):
        return _object(node, inner)
    raise NotCompiledError


def _constant(node: ValueNode, type_: GraphQLInputType) -> Callable[[], Any]:
    coerced = coerce_input_literal(node, type_)
    if coerced is Undefined:
        raise NotCompiledError
    if isinstance(coerced, (list, dict)):
        return lambda: converted(type_, coerced)
    return lambda: coerced


def _variable(name: str, not_null: bool) -> Literal:
    def literal(values: Values) -> Any:
        value = values.get(name, Undefined)
        if value is None and not_null:
            raise RefusedValueError
        return value

    return literal


def _list(node: ValueNode, type_: GraphQLList[Any]) -> Literal:
    nodes = node.values if isinstance(node, ListValueNode) else (node,)
    items = [_literal(item, type_.of_type) for item in nodes]
    item_not_null = isinstance(type_.of_type, GraphQLNonNull)

    def literal(values: Values) -> Any:
        read = [item(values) for item in items]
        if item_not_null and Undefined in read:
            raise RefusedValueError
        return [None if value is Undefined else value for value in read]

    return literal


def _object(node: ObjectValueNode, type_: GraphQLInputObjectType) -> Literal:
    fields = {field.name.value: _literal(field.value, type_.fields[field.name.value].type) for field in node.fields}
    defaults = {name: default_of(field) for name, field in type_.fields.items()}
    required = {
        name
        for name, field in type_.fields.items()
        if isinstance(field.type, GraphQLNonNull) and defaults[name] is Undefined
    }

    def literal(values: Values) -> Any:
        given = {name: value for name, value in defaults.items() if value is not Undefined}
        for name, field in fields.items():
            value = field(values)
            if value is not Undefined:
                given[name] = value
        if not required <= given.keys():
            raise RefusedValueError
        return make_object(type_, given)

    make_object(type_, dict.fromkeys(type_.fields))  # refuse what cannot be made while compiling
    return literal


def _has_variables(node: ValueNode) -> bool:
    if isinstance(node, ListValueNode):
        return any(map(_has_variables, node.values))
    if isinstance(node, ObjectValueNode):
        return any(_has_variables(field.value) for field in node.fields)
    return isinstance(node, VariableNode)
