"""What an operation may cost: its fields, counted as often as the lists around them are long, before anything runs.

The length of a list is that which its field, or the field above it, asks for: `first`, `radius`, or as many entries as
a list argument has. What a fragment costs is a linear function of that length, so that each is measured once. Where an
operation is too dear for the largest lists that its variables could ask for, it is measured again with the variables
of each request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLError,
    GraphQLField,
    GraphQLSchema,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
)

from domain.board import IDS_MAX, INPUTS_MAX, PAGE_SIZE_MAX, RADIUS_MAX, RECENT_SESSIONS_MAX
from graph.errors import too_complex

COST_MAX = 16_000
"""What an operation may cost besides its bulks: a hundred standings with 20 whole sessions each come to 15,000."""

BULK_COST_MAX = 60_000
"""What the fields that submit many scores may cost: a thousand inputs, and all that the contract says of each."""

INTROSPECTION_COST_MAX = 60_000
"""What `__schema` and `__type` may cost. The introspection query of the usual tools comes to two thirds of it."""

ROOT_COST = 10
"""A root field asks a shard or Redis."""

INPUT_COST = 20
"""One submitted score."""

BULK_FIELD = "submitScores"


class Length(NamedTuple):
    """How long the lists of a field may get: as long as `argument` says, `most` at most.

    `around`: the argument counts the entries on either side of one.
    """

    argument: str
    most: int
    around: bool = False


_LENGTHS = {
    "leaderboard": Length("first", PAGE_SIZE_MAX),
    "history": Length("first", PAGE_SIZE_MAX),
    "topChanged": Length("first", PAGE_SIZE_MAX),
    "recentSessions": Length("first", RECENT_SESSIONS_MAX),
    "around": Length("radius", 2 * RADIUS_MAX + 1, around=True),
    "ranks": Length("userIds", IDS_MAX),
    BULK_FIELD: Length("inputs", INPUTS_MAX),
}

# About as long as the lists of this schema's description are. `types` and `directives` are counted.
_INTROSPECTION_LENGTH = 4


class Cost(NamedTuple):
    """What a selection set costs: `fixed`, and `per_entry` for each entry that the field above asks for.

    `bulk` and `introspection` are what its fields of these kinds cost, which is not in `fixed`.
    """

    fixed: int
    per_entry: int
    bulk: int
    introspection: int

    def of(self, length: int) -> int:
        """The cost below a field that asks for `length` entries."""
        return self.fixed + self.per_entry * length


_NOTHING = Cost(0, 0, 0, 0)


class Costs:
    """Measures the operations of a document, which `graph.limits` has found to be neither too deep nor too wide.

    Args:
        variables: those of a request; None to count with the largest lists that any could ask for.
    """

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any] | None) -> None:
        self._schema = schema
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._variables = variables
        self._defaults: dict[str, ValueNode] = {}
        self._measured: dict[str, Cost] = {}

    def of(self, operation: OperationDefinitionNode) -> Cost:
        """What `operation` costs."""
        root_type = self._schema.get_root_type(operation.operation)
        if root_type is None:
            return _NOTHING
        self._measured = {}
        self._defaults = {
            definition.variable.name.value: definition.default_value
            for definition in operation.variable_definitions or ()
            if definition.default_value is not None
        }
        return self._of(operation.selection_set, root_type)

    def _of(self, selection_set: SelectionSetNode, parent: GraphQLCompositeType | None) -> Cost:
        cost = _NOTHING
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                inner = self._of_field(selection, parent)
            elif isinstance(selection, FragmentSpreadNode):
                inner = self._of_fragment(selection.name.value)
            else:
                condition = selection.type_condition  # type: ignore[attr-defined]
                inner_type = self._type(condition.name.value) if condition else parent
                inner = self._of(selection.selection_set, inner_type)  # type: ignore[attr-defined]
            cost = Cost(*(mine + its for mine, its in zip(cost, inner, strict=True)))
        return cost

    def _of_fragment(self, name: str) -> Cost:
        cost = self._measured.get(name)
        if cost is None:
            # Set first: a fragment that spreads itself adds nothing here, and validation refuses it.
            self._measured[name] = _NOTHING
            fragment = self._fragments.get(name)
            if fragment is None:
                return _NOTHING
            condition = self._type(fragment.type_condition.name.value)
            cost = self._measured[name] = self._of(fragment.selection_set, condition)
        return cost

    def _type(self, name: str) -> GraphQLCompositeType | None:
        type_ = self._schema.get_type(name)
        return type_ if is_composite_type(type_) else None

    def _of_field(self, node: FieldNode, parent: GraphQLCompositeType | None) -> Cost:
        name = node.name.value
        field = self._schema.get_field(parent, name) if parent is not None else None
        if field is None or name == "__typename":
            # A field that is not known will be refused, and what it holds with it.
            return Cost(1, 0, 0, 0)
        type_ = get_named_type(field.type)
        inner = _NOTHING
        if node.selection_set:
            inner = self._of(node.selection_set, type_ if is_composite_type(type_) else None)
        length = self._length(node, field, parent)
        if not is_list_type(get_nullable_type(field.type)):
            cost = Cost(1 + inner.of(length or 0), 0, 0, 0)
        elif length is None:
            cost = Cost(1, 1 + inner.fixed, 0, 0)
        else:
            cost = Cost(1 + length * (1 + inner.fixed), 0, 0, 0)
        if name.startswith("__"):
            return Cost(0, 0, 0, cost.fixed)
        if name == BULK_FIELD:
            return Cost(0, 0, ROOT_COST + cost.fixed + (length or 0) * INPUT_COST, 0)
        if name == "submitScore":
            return Cost(ROOT_COST + INPUT_COST + cost.fixed, 0, 0, 0)
        if parent in (self._schema.query_type, self._schema.mutation_type, self._schema.subscription_type):
            return cost._replace(fixed=ROOT_COST + cost.fixed)
        return cost

    def _length(self, node: FieldNode, field: GraphQLField, parent: GraphQLCompositeType | None) -> int | None:
        """How many entries `node` asks for; None where the field above says it."""
        name = node.name.value
        if parent is not None and parent.name.startswith("__"):
            if parent.name == "__Schema" and name == "types":
                return len(self._schema.type_map)
            if parent.name == "__Schema" and name == "directives":
                return len(self._schema.directives)
            return _INTROSPECTION_LENGTH
        length = _LENGTHS.get(name)
        if length is None:
            return None
        asked = self._asked(node, field, length)
        return min(length.most, 2 * asked + 1 if length.around else asked)

    def _asked(self, node: FieldNode, field: GraphQLField, length: Length) -> int:
        for argument in node.arguments or ():
            if argument.name.value == length.argument:
                return self._number(argument.value, length.most)
        default = field.args[length.argument].default_value
        return default if isinstance(default, int) else length.most

    def _number(self, value: ValueNode, most: int) -> int:
        """The number that `value` is, or that of its entries; `most` where that is not known."""
        if isinstance(value, VariableNode):
            name = value.name.value
            if self._variables is None:
                return most
            if name in self._variables:
                given = self._variables[name]
                if isinstance(given, list):
                    return len(given)
                return max(0, given) if type(given) is int else most
            default = self._defaults.get(name)
            return most if default is None else self._number(default, most)
        if isinstance(value, IntValueNode):
            return max(0, int(value.value))
        return len(value.values) if isinstance(value, ListValueNode) else most


def find_excess(cost: Cost) -> GraphQLError | None:
    """The refusal of an operation that costs so much; None where it may run."""
    for what, most, got in (
        (
            "An operation may cost {} (its fields, times the lengths of the lists that they are in)",
            COST_MAX,
            cost.fixed,
        ),
        (f"What an operation asks of {BULK_FIELD} may cost {{}}", BULK_COST_MAX, cost.bulk),
        ("What an operation asks of the schema itself may cost {}", INTROSPECTION_COST_MAX, cost.introspection),
    ):
        if got > most:
            return too_complex(f"{what.format(most)}; got {got}.")
    return None
