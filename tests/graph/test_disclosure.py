"""What clients learn of the schema: all of it, or nothing but what they know already."""

from __future__ import annotations

import pytest
from graphql import get_introspection_query

from app.settings import Settings
from graph.disclosure import CLOSED, OPEN, Disclosure
from graph.documents import Prepared, RefusedDocument, prepare
from graph.execute import execute_operation
from graph.schema import GRAPHQL_SCHEMA
from tests.graph import world

SHARD = {"name": "shard1", "url": "postgresql://a/b", "direct_url": "postgresql://a/b"}
SUBMIT = "mutation ($input: SubmitScoreInput!) { submitScore(input: $input) { duplicate } }"


def messages(query: str, disclosure: Disclosure) -> list[str]:
    made = prepare(GRAPHQL_SCHEMA, query, None, disclosure)
    assert isinstance(made, RefusedDocument), "it was accepted"
    assert {error["extensions"]["code"] for error in made.errors} == {"BAD_USER_INPUT"}
    return [error["message"] for error in made.errors]


@pytest.mark.parametrize(
    ("settings", "introspection", "suggestions", "graphiql"),
    [
        ({}, True, True, True),
        ({"production": True}, False, False, False),
        ({"production": True, "introspection": True}, True, False, False),
        ({"production": True, "suggestions": True}, False, True, False),
        ({"production": True, "graphiql": True}, False, False, True),
        ({"introspection": False}, False, True, True),
        ({"suggestions": False}, True, False, True),
        ({"graphiql": False}, True, True, False),
    ],
)
def test_production_closes_all_three_and_each_can_be_set_alone(
    settings: dict[str, bool], introspection: bool, suggestions: bool, graphiql: bool
) -> None:
    made = Settings.model_validate({"shards": [SHARD], **settings})
    assert made.disclosure == Disclosure(introspection, suggestions)
    assert made.serves_graphiql is graphiql
    # The page that describes the REST API is like it.
    renamed = {"docs" if name == "graphiql" else name: value for name, value in settings.items()}
    assert Settings.model_validate({"shards": [SHARD], **renamed}).serves_docs is graphiql


@pytest.mark.parametrize(
    "query", ["{ __schema { queryType { name } } }", '{ __type(name: "Query") { name } }', get_introspection_query()]
)
def test_introspection_can_be_off(query: str) -> None:
    assert isinstance(prepare(GRAPHQL_SCHEMA, query, None, OPEN), Prepared)
    assert messages(query, CLOSED)[0].startswith("GraphQL introspection has been disabled")


def test_the_name_of_a_type_is_always_told() -> None:
    query = "{ __typename rank(userId: 1) { __typename } }"
    assert isinstance(prepare(GRAPHQL_SCHEMA, query, None, CLOSED), Prepared)


@pytest.mark.parametrize(
    ("query", "said", "suggested"),
    [
        ("{ ran(userId: 1) { rank } }", "Cannot query field 'ran' on type 'Query'.", "Did you mean 'rank' or 'ranks'?"),
        ("query ($a: Scor) { rank(userId: $a) { rank } }", "Unknown type 'Scor'.", "Did you mean 'Score'?"),
        (
            "{ rank(userI: 1, userId: 1) { rank } }",
            "Unknown argument 'userI' on field 'Query.rank'.",
            "Did you mean 'userId'?",
        ),
        (
            'mutation { submitScore(input: {userId: 1, username: "a", score: 1, scor: 1}) { duplicate } }',
            "Expected value of type 'SubmitScoreInput' not to include unknown field 'scor'",
            "Did you mean 'score'?",
        ),
    ],
)
def test_suggestions_can_be_off(query: str, said: str, suggested: str) -> None:
    (open_,) = (each for each in messages(query, OPEN) if each.startswith(said))
    assert suggested in open_
    closed = messages(query, CLOSED)
    assert any(each.startswith(said) for each in closed)
    assert not any("Did you mean" in each for each in closed)


@pytest.mark.parametrize("disclosure", [OPEN, CLOSED])
async def test_also_in_errors_of_variables(disclosure: Disclosure) -> None:
    made = prepare(GRAPHQL_SCHEMA, SUBMIT, None, disclosure)
    assert isinstance(made, Prepared)
    given = {"input": {"userId": 1, "username": "a", "score": 1, "scor": 1}}
    answer = await execute_operation(GRAPHQL_SCHEMA, made, world.context(), given)
    (error,) = answer["errors"]
    assert "scor" in error["message"]
    assert ("Did you mean 'score'?" in error["message"]) == disclosure.suggestions
