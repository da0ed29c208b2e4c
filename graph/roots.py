"""How much an operation asks for, as limits count it: by its root fields, aliases included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)

from domain.requests import OTHER


class Asked(NamedTuple):
    """`reads` and `submissions` that count one each. The inputs of a bulk count when it runs.

    `name`: of the only kind of root field, by which the operation is measured; `other` where there are several.
    """

    reads: int
    submissions: int
    name: str


def count_roots(document: DocumentNode, operation: OperationDefinitionNode) -> Asked:
    """What a valid operation asks for; fields that a directive leaves out count as well."""
    names = list(_root_names(document, operation.selection_set))
    if operation.operation is OperationType.MUTATION:
        return Asked(0, names.count("submitScore"), _only(names))
    return Asked(len([name for name in names if name != "__typename"]), 0, _only(names))


def _only(names: Sequence[str]) -> str:
    # None at all where fragments spread nothing but each other.
    return names[0] if len(set(names)) == 1 and not names[0].startswith("__") else OTHER


def name_operation(document: DocumentNode, operation: OperationDefinitionNode) -> str:
    """A valid operation's root fields, each once: of these there are few, while a client's own name may be anything."""
    return ",".join(sorted(set(_root_names(document, operation.selection_set))))


def _root_names(document: DocumentNode, selection_set: SelectionSetNode) -> Iterator[str]:
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    waiting = [selection_set]
    while waiting:
        for selection in waiting.pop().selections:
            if isinstance(selection, FieldNode):
                yield selection.name.value
            elif isinstance(selection, FragmentSpreadNode):
                waiting.append(fragments[selection.name.value].selection_set)
            else:
                waiting.append(selection.selection_set)  # type: ignore[attr-defined]
