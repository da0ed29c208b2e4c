"""From what a resolver returned to the answer: one generated function for each root field.

The function is Python source, as `dataclasses` makes it: closures would cost a call for each field of each row.
Nothing of a request gets into that source but response keys and names of fields, and those only as literals of strings
that the grammar of GraphQL confines to letters, digits and underscores.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from graphql import (
    FieldNode,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    is_leaf_type,
)
from strawberry.types.field import StrawberryField

from graph.compile.selection import Fragments, NotCompiledError, collect_fields

Writer = Callable[[Any], Any]


class UnusualValueError(Exception):
    """A value that graphql-core has to judge: null where none may be, or of another class than expected."""


# For each scalar the Python expression of its usual case: `{v}` is the name of the value, `{source}` where it comes
# from, and `{other}` the call for all other cases. UUIDs and instants are left as they are where orjson writes them
# as the scalar would.
_USUAL = {
    "String": "{v} if type({v} := {source}) is str else {other}",
    "ID": "str({v}) if type({v} := {source}) is int else {v} if type({v}) is str else {other}",
    "Int": "{v} if type({v} := {source}) is int and -2147483648 <= {v} <= 2147483647 else {other}",
    "Float": "{v} if type({v} := {source}) is float and {v} - {v} == 0.0 else {other}",
    "Boolean": "{v} if type({v} := {source}) is bool else {other}",
    "Score": "{v} if type({v} := {source}) is int else {other}",
    "UUID": "{v} if type({v} := {source}) is UUID else {other}",
    "DateTime": ("{v} if type({v} := {source}) is datetime and {v}.tzinfo is UTC and {v}.microsecond else {other}"),
}
_OTHER = "{v} if ({v} := {source}) is Ellipsis else {other}"


def compile_writer(type_: GraphQLOutputType, nodes: list[FieldNode], fragments: Fragments) -> Writer:
    """The function that turns a source of `type_` into what the answer holds of it.

    The function raises `UnusualValueError`, or whatever a source of another shape makes it raise, for values that are
    not the usual ones of their types.

    Raises:
        NotCompiledError: a selected field needs more than its source.
    """
    module = _Module(fragments)
    expression = module.value(type_, "source", nodes)
    return module.function(f"def write(source):\n    return {expression}\n")


class _Module:
    """Source under construction, and the names that it refers to."""

    def __init__(self, fragments: Fragments) -> None:
        self._fragments = fragments
        self._source: list[str] = []
        self._names: dict[str, Any] = {"UUID": UUID, "datetime": datetime, "UTC": UTC, "rows": _rows}
        self._count = 0

    def function(self, source: str) -> Writer:
        self._source.append(source)
        exec(compile("".join(self._source), "<compiled operation>", "exec"), self._names)
        write: Writer = self._names["write"]
        return write

    def value(self, type_: GraphQLOutputType, source: str, nodes: list[FieldNode]) -> str:
        """The expression that writes the value of the expression `source`."""
        nullable = not isinstance(type_, GraphQLNonNull)
        inner: GraphQLOutputType = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        if is_leaf_type(inner):
            return self._leaf(inner, nullable, source)
        if isinstance(inner, GraphQLList):
            row, rows = self._name("row"), self._name("rows")
            items = f"[{self.value(inner.of_type, row, nodes)} for {row} in rows({rows})]"
            return f"({'None' if nullable else 'rows(None)'} if ({rows} := {source}) is None else {items})"
        if isinstance(inner, GraphQLObjectType):
            return f"{self._object(inner, nullable, nodes)}({source})"
        raise NotCompiledError

    def _leaf(self, type_: GraphQLLeafType, nullable: bool, source: str) -> str:
        v = self._name("v")
        other = f"{self._bind(_leaf_writer(type_, nullable))}({v})"
        return "(" + _USUAL.get(type_.name, _OTHER).format(v=v, source=source, other=other) + ")"

    def _object(self, type_: GraphQLObjectType, nullable: bool, nodes: list[FieldNode]) -> str:
        selection_sets = [node.selection_set for node in nodes if node.selection_set]
        entries = []
        for key, key_nodes in collect_fields(self._fragments, type_, selection_sets).items():
            name = key_nodes[0].name.value
            if name == "__typename":
                entries.append(f"{key!r}: {type_.name!r}")
                continue
            field = type_.fields[name]
            source = self._source_of(field.extensions["strawberry-definition"])
            entries.append(f"{key!r}: {self.value(field.type, source, key_nodes)}")
        function = self._name("write_object")
        missing = "return None" if nullable else "raise Unusual"
        self._names["Unusual"] = UnusualValueError
        self._source.append(
            f"def {function}(o):\n    if o is None:\n        {missing}\n    return {{{', '.join(entries)}}}\n"
        )
        return function

    def _source_of(self, field: StrawberryField) -> str:
        """The expression of what `field` yields for the source `o`: an attribute, or a resolver that takes no more."""
        resolver = field.base_resolver
        if resolver is None and not field.extensions:
            return f"o.{field.python_name}"
        if resolver is None or resolver.is_async or resolver.info_parameter or field.arguments or field.extensions:
            raise NotCompiledError
        if resolver.parent_parameter or resolver.root_parameter or not resolver.self_parameter:
            raise NotCompiledError
        return f"{self._bind(resolver.wrapped_func)}(o)"

    def _bind(self, value: object) -> str:
        name = self._name("f")
        self._names[name] = value
        return name

    def _name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"


def _rows(value: object) -> list[Any] | tuple[Any, ...]:
    if isinstance(value, (list, tuple)):
        return value
    raise UnusualValueError


def _leaf_writer(type_: GraphQLLeafType, nullable: bool) -> Writer:
    coerce = type_.coerce_output_value

    def write(value: Any) -> Any:
        if value is None:
            if nullable:
                return None
            raise UnusualValueError
        written = coerce(value)
        if written is None:
            raise UnusualValueError
        return written

    return write
