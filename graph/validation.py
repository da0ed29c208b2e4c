"""The rules of the GraphQL specification, with a bound on the work that each of them does for one document."""

from __future__ import annotations

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OverlappingFieldsCanBeMergedRule,
    ValidationContext,
    specified_rules,
)
from graphql import validate as validate_by_core
from graphql.validation.validate import ValidationAbortedError

from graph.disclosure import Disclosure
from graph.errors import too_complex

ERRORS_MAX = 10
"""Errors after which a document is read no further: some of them print a part of it."""

OVERLAP_STEPS_MAX = 5_000
"""Steps of comparing fields of one name with each other; they grow with the square of their number."""


class BoundedOverlapRule(OverlappingFieldsCanBeMergedRule):
    """Fields of one name must be one and the same; with a bound far below that of the library."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = OVERLAP_STEPS_MAX


_RULES = tuple(BoundedOverlapRule if rule is OverlappingFieldsCanBeMergedRule else rule for rule in specified_rules)


def validate(schema: GraphQLSchema, document: DocumentNode, disclosure: Disclosure) -> list[GraphQLError]:
    """What is wrong with a document that `graph.limits` has found to be neither too deep nor too wide."""
    rules = _RULES if disclosure.introspection else (*_RULES, NoSchemaIntrospectionCustomRule)
    errors = validate_by_core(
        schema, document, rules, max_errors=ERRORS_MAX, hide_suggestions=not disclosure.suggestions
    )
    if len(errors) > ERRORS_MAX:
        return errors[:ERRORS_MAX]
    return [_too_complex(error) if isinstance(error, ValidationAbortedError) else error for error in errors]


def _too_complex(error: GraphQLError) -> GraphQLError:
    return too_complex(
        f"Too many fields of one name, or fragments within fragments: comparing them takes more than "
        f"{OVERLAP_STEPS_MAX} steps.",
        error,
    )
