"""Which fields an operation asks for, with fragments written out and equal response keys merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
)


class NotCompiledError(Exception):
    """The operation holds something that only graphql-core executes."""


Fragments = Mapping[str, FragmentDefinitionNode]


def collect_fields(
    fragments: Fragments, type_: GraphQLObjectType, selection_sets: Iterable[SelectionSetNode]
) -> dict[str, list[FieldNode]]:
    """For each response key, in the order of the answer, the fields that are merged under it.

    The same as graphql-core's `collect_fields`, for the case that no variable decides what is included.

    Raises:
        NotCompiledError: a variable decides, or a directive other than @skip and @include is used.
    """
    fields: dict[str, list[FieldNode]] = {}
    visited: set[str] = set()
    for selection_set in selection_sets:
        _collect(fragments, type_, selection_set, fields, visited)
    return fields


def _collect(
    fragments: Fragments,
    type_: GraphQLObjectType,
    selection_set: SelectionSetNode,
    fields: dict[str, list[FieldNode]],
    visited: set[str],
) -> None:
    for selection in selection_set.selections:
        if not _is_included(selection):
            continue
        if isinstance(selection, FieldNode):
            key = selection.alias.value if selection.alias else selection.name.value
            fields.setdefault(key, []).append(selection)
            continue
        if isinstance(selection, FragmentSpreadNode):
            if selection.name.value in visited:
                continue
            fragment: FragmentDefinitionNode | InlineFragmentNode = fragments[selection.name.value]
        elif isinstance(selection, InlineFragmentNode):
            fragment = selection
        else:
            raise NotCompiledError
        # All types are concrete, and validation let only fragments pass that apply to the type they are spread on.
        if fragment.type_condition and fragment.type_condition.name.value != type_.name:
            raise NotCompiledError
        if isinstance(selection, FragmentSpreadNode):
            visited.add(selection.name.value)
        _collect(fragments, type_, fragment.selection_set, fields, visited)


def _is_included(selection: SelectionNode) -> bool:
    included = True
    for directive in selection.directives or ():
        value = directive.arguments[0].value if directive.arguments else None
        if directive.name.value not in ("skip", "include") or not isinstance(value, BooleanValueNode):
            raise NotCompiledError
        included = included and value.value == (directive.name.value == "include")
    return included
