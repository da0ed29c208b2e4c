"""What operations cost: their fields, times the lists they are in, with the variables that a request gives."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    OperationDefinitionNode,
    get_nullable_type,
    is_list_type,
    parse,
)

from graph.cost import _LENGTHS, BULK_COST_MAX, COST_MAX, INTROSPECTION_COST_MAX, Cost, Costs, find_excess
from graph.disclosure import OPEN
from graph.documents import Prepared, prepare
from graph.schema import GRAPHQL_SCHEMA
from tests.graph.shapes import doubling, many

BULK = "mutation ($inputs: [SubmitScoreInput!]!) { submitScores(inputs: $inputs) { error { code } } }"


def cost(query: str, variables: dict[str, Any] | None = None) -> Cost:
    document = parse(query)
    (operation,) = (each for each in document.definitions if isinstance(each, OperationDefinitionNode))
    return Costs(GRAPHQL_SCHEMA, document, variables).of(operation)


@pytest.mark.parametrize(
    ("query", "fixed"),
    [
        ("{ __typename }", 1),
        ("{ rank(userId: 1) { rank userId } }", 10 + 1 + 2),
        ("{ leaderboard { totalCount } }", 10 + 1 + 1),
        ("{ leaderboard { nodes { rank userId } } }", 10 + 1 + 1 + 10 * (1 + 2)),
        ("{ leaderboard(first: 3) { edges { node { rank } } } }", 10 + 1 + 1 + 3 * (1 + 2)),
        ("{ leaderboard(first: 1000000) { nodes { rank } } }", 10 + 1 + 1 + 100 * 2),
        ("{ leaderboard(first: -5) { nodes { rank } } }", 10 + 1 + 1),
        ("{ leaderboard(first: 2) { nodes { recentSessions { id } } } }", 10 + 1 + 1 + 2 * (1 + 1 + 5 * 2)),
        ("{ leaderboard(first: 2) { nodes { recentSessions(first: 3) { id } } } }", 10 + 1 + 1 + 2 * (1 + 1 + 3 * 2)),
        ("{ around(userId: 1) { rank } }", 10 + 1 + 11 * 2),
        ("{ around(userId: 1, radius: 50) { rank } }", 10 + 1 + 101 * 2),
        ("{ ranks(userIds: [1, 2, 3]) { rank } }", 10 + 1 + 3 * 2),
        ("{ history(userId: 1) { nodes { id } } }", 10 + 1 + 1 + 20 * 2),
        ("subscription { topChanged(first: 5) { entries { rank } } }", 10 + 1 + 1 + 5 * 2),
        ("mutation { submitScore(input: {}) { duplicate } }", 10 + 20 + 1 + 1),
        ("{ nothing { knows this { } } }", 1),
        # A fragment costs what it costs where it is spread.
        (
            "{ leaderboard(first: 7) { ...A } history(userId: 1, first: 3) { nodes { id } } } "
            "fragment A on LeaderboardConnection { nodes { ...B ...B } } fragment B on Standing { rank userId }",
            10 + 1 + 1 + 7 * (1 + 4) + 10 + 1 + 1 + 3 * 2,
        ),
        (
            "{ a: leaderboard(first: 2) { ...A } b: leaderboard(first: 4) { ...A } } "
            "fragment A on LeaderboardConnection { nodes { rank } }",
            2 * 12 + 2 * 2 + 4 * 2,
        ),
        ("{ leaderboard(first: 3) { ... on LeaderboardConnection { ... { nodes { rank } } } } }", 10 + 2 + 3 * 2),
        (doubling(15), 2**15),
    ],
)
def test_an_operation_costs_its_fields_times_the_lists_they_are_in(query: str, fixed: int) -> None:
    assert cost(query) == Cost(fixed, 0, 0, 0)


@pytest.mark.parametrize(
    ("variables", "fixed"),
    [
        (None, 12 + 100 * 2),
        ({"n": 5}, 12 + 5 * 2),
        ({}, 12 + 7 * 2),
        ({"n": 1_000_000_000}, 12 + 100 * 2),
        ({"n": -3}, 12),
        ({"n": "5"}, 12 + 100 * 2),
        ({"n": True}, 12 + 100 * 2),
        ({"n": None}, 12 + 100 * 2),
    ],
)
def test_a_variable_counts_with_its_value_or_the_most_it_could_ask_for(
    variables: dict[str, Any] | None, fixed: int
) -> None:
    query = "query ($n: Int! = 7) { leaderboard(first: $n) { nodes { rank } } }"
    assert cost(query, variables).fixed == fixed


def test_a_list_in_a_variable_counts_its_entries() -> None:
    query = "query ($ids: [ID!]!) { ranks(userIds: $ids) { rank } }"
    assert cost(query).fixed == 11 + 100 * 2
    assert cost(query, {"ids": ["1", "2"]}).fixed == 11 + 2 * 2
    assert cost(BULK) == Cost(0, 0, 10 + 1 + 1000 * (1 + 2) + 1000 * 20, 0)
    assert cost(BULK, {"inputs": [{}, {}]}) == Cost(0, 0, 10 + 1 + 2 * (1 + 2) + 2 * 20, 0)


def test_the_variables_decide_only_where_the_largest_would_be_too_dear() -> None:
    query = "query ($n: Int!) { " + many("a#: leaderboard(first: $n) { nodes { rank userId username totalScore } }", 20)
    made = prepare(GRAPHQL_SCHEMA, f"{query} }}", None, OPEN)
    small = prepare(GRAPHQL_SCHEMA, BULK, None, OPEN)
    assert isinstance(made, Prepared)
    assert isinstance(small, Prepared)
    assert (made.depends, made.is_bulk) == (False, False)
    assert (small.depends, small.is_bulk) == (False, True)
    wide = prepare(
        GRAPHQL_SCHEMA, f"{query.replace('rank', 'rank lastPlayed gamesPlayed percentile joinedAt')} }}", None
    )
    assert isinstance(wide, Prepared)
    assert wide.depends
    assert find_excess(Costs(GRAPHQL_SCHEMA, wide.document, {"n": 80}).of(wide.operation)) is None
    excess = find_excess(Costs(GRAPHQL_SCHEMA, wide.document, {"n": 100}).of(wide.operation))
    assert excess is not None
    assert excess.message == (
        f"An operation may cost {COST_MAX} (its fields, times the lengths of the lists that they are in); got 18240."
    )


def test_bulks_and_the_schema_have_limits_of_their_own() -> None:
    introspection = "{ __schema { types { " + many("a#: fields { args { type { name kind } } }", 40) + " } } }"
    assert find_excess(cost(introspection)) is not None
    assert cost(introspection).introspection > INTROSPECTION_COST_MAX
    assert cost(introspection).fixed == 0
    bulks = "mutation ($i: [SubmitScoreInput!]!) { " + many("a#: submitScores(inputs: $i) { __typename }", 3) + " }"
    assert cost(bulks).bulk == 3 * (11 + 1000 * 22) > BULK_COST_MAX
    assert find_excess(cost(bulks)) is not None
    assert find_excess(cost(bulks, {"i": [{}] * 900})) is None


def test_the_length_of_every_list_of_the_schema_is_known() -> None:
    unknown = []
    for type_ in GRAPHQL_SCHEMA.type_map.values():
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType) and not type_.name.startswith("__"):
            known_above = all(
                name in _LENGTHS
                for parent in GRAPHQL_SCHEMA.type_map.values()
                if isinstance(parent, GraphQLObjectType)
                for name, field in parent.fields.items()
                if get_nullable_type(field.type) is type_
            )
            unknown += [
                f"{type_.name}.{name}"
                for name, field in type_.fields.items()
                if is_list_type(get_nullable_type(field.type)) and name not in _LENGTHS and not known_above
            ]
    assert unknown == []
