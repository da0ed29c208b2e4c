"""How deep and how wide a document may be.

The measures are taken before validation, some of whose rules cost the square of a document. Each fragment is measured
once, however often it is spread, so that measuring is linear in the document, while what a fragment adds is counted
at every spread.
"""

from __future__ import annotations

from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
)

from graph.errors import too_complex

TOKENS_MAX = 2_000
LEVELS_MAX = 30
FIELDS_MAX = 500
ROOT_FIELDS_MAX = 20


class Size(NamedTuple):
    """What a selection set comes to with its fragments written out.

    `levels` counts nested selection sets, spreads among them; `fields` all fields; `own_fields` those of its first
    level.
    """

    levels: int
    fields: int
    own_fields: int


def find_excess(document: DocumentNode) -> GraphQLError | None:
    """The refusal of a document that is too deep or too wide; None for one that is not."""
    sizes = _Sizes(document)
    try:
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                size = sizes.of(definition.selection_set, LEVELS_MAX)
                if size.own_fields > ROOT_FIELDS_MAX:
                    return too_complex(
                        f"An operation may have {ROOT_FIELDS_MAX} root fields, aliases counted; got {size.own_fields}."
                    )
                if size.fields > FIELDS_MAX:
                    return too_complex(f"An operation may select {FIELDS_MAX} fields; got {size.fields}.")
    except _TooDeep:
        return too_complex(f"Selections may be nested {LEVELS_MAX} levels deep, fragments counted.")
    return None


class _TooDeep(Exception):
    pass


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
            raise _TooDeep
        levels = fields = own_fields = 0
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                fields += 1
                own_fields += 1
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
            fields += inner.fields
        return Size(levels + 1, fields, own_fields)

    def _of_fragment(self, name: str, levels_left: int) -> Size:
        size = self._measured.get(name)
        if size is None:
            # Set first: a fragment that spreads itself adds nothing here, and validation refuses it.
            self._measured[name] = Size(0, 0, 0)
            fragment = self._fragments.get(name)
            if fragment is not None:
                size = self._measured[name] = self.of(fragment, levels_left)
        if size is None:
            return Size(0, 0, 0)
        if size.levels > levels_left:
            raise _TooDeep
        return size
