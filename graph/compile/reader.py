"""From the JSON of a request to the Python arguments of a resolver.

What fits at first sight is read here; whatever does not is refused, and graphql-core, which then runs the whole
operation, accepts it after all (such as a whole number as a float) or says what is wrong with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    Undefined,
)
from graphql.type import GraphQLArgument, GraphQLInputField
from graphql.utilities.coerce_input_value import coerce_default_value
from strawberry.types.base import StrawberryObjectDefinition

from graph.compile.selection import NotCompiledError

Reader = Callable[[Any], Any]


class RefusedValueError(Exception):
    """A value that graphql-core has to judge."""


_UNCHANGED: dict[str, type] = {"ID": str, "String": str, "Boolean": bool, "Score": int, "UUID": str}
"""For each scalar the class of the values that stand for themselves."""


def compile_reader(type_: GraphQLInputType) -> Reader:
    """The function that turns a JSON value of `type_` into what a resolver gets; raises RefusedValueError.

    Raises:
        NotCompiledError: an input type has a form that only Strawberry makes.
    """
    if not isinstance(type_, GraphQLNonNull):
        read = compile_reader(GraphQLNonNull(type_))
        return lambda value: None if value is None else read(value)
    inner = type_.of_type
    if isinstance(inner, GraphQLList):
        return _list_reader(compile_reader(inner.of_type))
    if isinstance(inner, GraphQLInputObjectType):
        return _object_reader(inner)
    if inner.name == "Int":
        return _read_int
    if inner.name in _UNCHANGED:
        return _unchanged_reader(_UNCHANGED[inner.name], inner.coerce_input_value)
    return _leaf_reader(inner.coerce_input_value)


def converted(type_: GraphQLInputType, value: Any) -> Any:
    """What a resolver gets for a value that graphql-core has coerced: input objects as instances of their classes."""
    if isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    if value is None:
        return None
    if isinstance(type_, GraphQLList):
        return [converted(type_.of_type, item) for item in value]
    if isinstance(type_, GraphQLInputObjectType):
        fields = type_.fields
        return make_object(type_, {name: converted(fields[name].type, given) for name, given in value.items()})
    return value


def make_object(type_: GraphQLInputObjectType, values: dict[str, Any]) -> Any:
    """The instance for an input object with these converted `values`; fields that are left out become None."""
    shape = ObjectShape(type_)
    return shape.cls(**shape.left_out | {shape.python_names[name]: value for name, value in values.items()})


def default_of(input_value: GraphQLArgument | GraphQLInputField) -> Any:
    """The default of an argument or input field; Undefined where it has none.

    Raises:
        NotCompiledError: it is a list or an object, which each request has to get as its own copy.
    """
    default = coerce_default_value(input_value)
    if isinstance(default, (list, dict)):
        raise NotCompiledError
    return default


class ObjectShape:
    """How an input object becomes an instance of its Strawberry class."""

    def __init__(self, type_: GraphQLInputObjectType) -> None:
        definition: StrawberryObjectDefinition = type_.extensions["strawberry-definition"]
        if definition.is_one_of or definition.from_input is not None:
            raise NotCompiledError
        self.cls: Callable[..., Any] = definition.origin
        self.python_names: dict[str, str] = {}
        self.left_out: dict[str, Any] = {}
        for name, field in type_.fields.items():
            strawberry_field = field.extensions["strawberry-definition"]
            self.python_names[name] = strawberry_field.python_name
            has_no_default = (
                strawberry_field.default_value is dataclasses.MISSING
                and strawberry_field.default_factory is dataclasses.MISSING
            )
            if has_no_default and not isinstance(field.type, GraphQLNonNull):
                self.left_out[strawberry_field.python_name] = None


def _object_reader(type_: GraphQLInputObjectType) -> Reader:
    shape = ObjectShape(type_)
    make = shape.cls
    readers = {name: (shape.python_names[name], compile_reader(field.type)) for name, field in type_.fields.items()}
    left_out = dict(shape.left_out)
    required = set()
    for name, field in type_.fields.items():
        default = default_of(field)
        if default is not Undefined:
            left_out[shape.python_names[name]] = default
        elif isinstance(field.type, GraphQLNonNull):
            required.add(name)

    def read(value: Any) -> Any:
        if type(value) is not dict or not required <= value.keys():
            raise RefusedValueError
        arguments = left_out.copy()
        for name, given in value.items():
            field = readers.get(name)
            if field is None:
                raise RefusedValueError
            arguments[field[0]] = field[1](given)
        return make(**arguments)

    return read


def _list_reader(read_item: Reader) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not list:
            raise RefusedValueError
        return [read_item(item) for item in value]

    return read


def _unchanged_reader(cls: type, coerce: Reader) -> Reader:
    def read(value: Any) -> Any:
        return value if type(value) is cls else _coerced(coerce, value)

    return read


def _leaf_reader(coerce: Reader) -> Reader:
    def read(value: Any) -> Any:
        return _coerced(coerce, value)

    return read


def _coerced(coerce: Reader, value: Any) -> Any:
    if value is None:
        raise RefusedValueError
    try:
        coerced = coerce(value)
    except Exception as error:
        raise RefusedValueError from error
    if coerced is Undefined:
        raise RefusedValueError
    return coerced


def _read_int(value: Any) -> int:
    if type(value) is int and -2147483648 <= value <= 2147483647:
        return value
    raise RefusedValueError
