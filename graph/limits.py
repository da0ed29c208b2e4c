"""How large a document may be: what refuses it before validation, some of whose rules cost the square of a document.

Every measure is linear in the document. Each fragment is measured once, however often it is spread, while what a
fragment adds is counted at every spread. What the lists of an operation may come to is in `graph.cost`.
"""

from __future__ import annotations

from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    IntValueNode,
    ListTypeNode,
    ListValueNode,
    Node,
    NonNullTypeNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableDefinitionNode,
)

from graph.errors import too_complex

DOCUMENT_LENGTH_MAX = 16_000
"""Characters of a document."""

TOKENS_MAX = 1_000
DEFINITIONS_MAX = 50
"""Operations and fragments of a document."""

VARIABLES_MAX = 100
"""Variables that a document defines."""

DIRECTIVES_MAX = 30
"""Directives of a document."""

ARGUMENTS_MAX = 20
"""Arguments of one field or directive; entries of one object written in a document."""

LITERAL_LEVELS_MAX = 8
"""How deep lists and objects may be nested in a value that a document holds, and lists in the type of a variable."""

NUMBER_LENGTH_MAX = 400
"""Digits of a number in a document; the largest double has 309."""

LEVELS_MAX = 20
"""How deep selections may be nested, fragments counted. The introspection query of the usual tools has 18 levels."""

SELECTIONS_MAX = 300
"""What an operation may select with its fragments written out. The introspection query comes to 250."""

ROOT_FIELDS_MAX = 20
ALIASES_MAX = 50


class Size(NamedTuple):
    """What a selection set comes to with its fragments written out.

    `levels` counts nested selection sets, spreads among them; `selections` all fields and fragments; `aliases` the
    fields that are renamed; `own_fields` the fields of its first level.
    """

    levels: int
    selections: int
    aliases: int
    own_fields: int


_NOTHING = Size(0, 0, 0, 0)


def find_excess(document: DocumentNode) -> GraphQLError | None:
    """The refusal of a document that is too deep or too wide; None for one that is not."""
    try:
        _check_parts(document)
        sizes = _Sizes(document)
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                size = sizes.of(definition.selection_set, LEVELS_MAX)
                _check("An operation may have {} root fields, aliases counted", ROOT_FIELDS_MAX, size.own_fields)
                _check("An operation may have {} aliases", ALIASES_MAX, size.aliases)
                _check("An operation may select {} fields, fragments counted", SELECTIONS_MAX, size.selections)
    except _Excess as excess:
        return too_complex(str(excess))
    return None


class _Excess(Exception):
    """A limit is passed; the message says which, and by what."""


def _check(limit: str, most: int, got: int) -> None:
    if got > most:
        raise _Excess(f"{limit.format(most)}; got {got}.")


def _check_parts(document: DocumentNode) -> None:
    """Check all that is written in the document, whether an operation reaches it or not."""
    _check("A document may have {} operations and fragments", DEFINITIONS_MAX, len(document.definitions))
    directives = variables = 0
    # With each node how many lists and objects it lies in.
    waiting: list[tuple[Node, int]] = [(definition, 0) for definition in document.definitions]
    while waiting:
        node, levels = waiting.pop()
        if isinstance(node, ListValueNode | ObjectValueNode | ListTypeNode):
            levels += 1
            if levels > LITERAL_LEVELS_MAX:
                raise _Excess(f"Lists and objects may be nested {LITERAL_LEVELS_MAX} levels deep in a document.")
        if isinstance(node, ListValueNode):
            waiting += ((value, levels) for value in node.values)
        elif isinstance(node, ObjectValueNode):
            _check("An object in a document may have {} entries", ARGUMENTS_MAX, len(node.fields))
            waiting += ((field.value, levels) for field in node.fields)
        elif isinstance(node, ListTypeNode | NonNullTypeNode):
            waiting.append((node.type, levels))
        elif isinstance(node, IntValueNode | FloatValueNode):
            _check("A number in a document may have {} digits", NUMBER_LENGTH_MAX, len(node.value))
        elif isinstance(node, VariableDefinitionNode):
            variables += 1
            waiting.append((node.type, 0))
            if node.default_value is not None:
                waiting.append((node.default_value, 0))
        arguments = getattr(node, "arguments", None) or ()
        _check("A field or directive may have {} arguments", ARGUMENTS_MAX, len(arguments))
        waiting += ((argument.value, 0) for argument in arguments if hasattr(argument, "value"))
        directives += len(getattr(node, "directives", None) or ())
        for part in ("directives", "variable_definitions"):
            waiting += ((each, 0) for each in getattr(node, part, None) or ())
        selection_set = getattr(node, "selection_set", None)
        if selection_set is not None:
            waiting += ((selection, 0) for selection in selection_set.selections)
    _check("A document may have {} directives", DIRECTIVES_MAX, directives)
    _check("A document may define {} variables", VARIABLES_MAX, variables)


class _Sizes:
    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            definition.name.value: definition.selection_set
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._measured: dict[str, Size] = {}

    def of(self, selection_set: SelectionSetNode, levels_left: int) -> Size:
        """The size of `selection_set`; stops where it goes deeper than `levels_left`, which bounds the recursion."""
        if levels_left <= 0:
            raise _Excess(f"Selections may be nested {LEVELS_MAX} levels deep, fragments counted.")
        levels = aliases = own_fields = 0
        selections = len(selection_set.selections)
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                own_fields += 1
                aliases += selection.alias is not None
                if not selection.selection_set:
                    continue
                inner = self.of(selection.selection_set, levels_left - 1)
            else:
                if isinstance(selection, FragmentSpreadNode):
                    inner = self._of_fragment(selection.name.value, levels_left - 1)
                else:
                    inner = self.of(selection.selection_set, levels_left - 1)  # type: ignore[attr-defined]
                own_fields += inner.own_fields
            levels = max(levels, inner.levels)
            selections += inner.selections
            aliases += inner.aliases
        return Size(levels + 1, selections, aliases, own_fields)

    def _of_fragment(self, name: str, levels_left: int) -> Size:
        size = self._measured.get(name)
        if size is None:
            # Set first: a fragment that spreads itself adds nothing here, and validation refuses it.
            self._measured[name] = _NOTHING
            fragment = self._fragments.get(name)
            if fragment is None:
                return _NOTHING
            size = self._measured[name] = self.of(fragment, levels_left)
        if size.levels > levels_left:
            raise _Excess(f"Selections may be nested {LEVELS_MAX} levels deep, fragments counted.")
        return size
