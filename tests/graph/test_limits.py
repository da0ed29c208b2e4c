"""Documents that would cost too much are refused before they cost anything."""

from __future__ import annotations

from time import perf_counter

import pytest
from graphql import get_introspection_query

from graph.documents import Documents, Prepared, RefusedDocument, prepare
from graph.limits import FIELDS_MAX, LEVELS_MAX, ROOT_FIELDS_MAX, TOKENS_MAX
from graph.schema import GRAPHQL_SCHEMA


def refusal(query: str) -> tuple[str, str]:
    made = prepare(GRAPHQL_SCHEMA, query, None)
    assert isinstance(made, RefusedDocument), "it was accepted"
    (error,) = made.errors
    return error["extensions"]["code"], error["message"]


def doubling(levels: int) -> str:
    """Fragments that each spread the next one twice: 2^levels fields in a document of a few lines."""
    fragments = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels)]
    last = f"fragment F{levels} on Query {{ __typename }}"
    return "{ ...F0 } " + " ".join([*fragments, last])


def test_the_explorers_introspection_is_within_the_limits() -> None:
    query = get_introspection_query(
        descriptions=True, specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True
    )
    assert isinstance(prepare(GRAPHQL_SCHEMA, query, None), Prepared)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "{ " + "__typename " * TOKENS_MAX + "}",
            f"Syntax Error: Document contains more than {TOKENS_MAX} tokens. Parsing aborted.",
        ),
        (
            "{ " + " ".join(f"a{n}: __typename" for n in range(ROOT_FIELDS_MAX + 1)) + " }",
            f"An operation may have {ROOT_FIELDS_MAX} root fields, aliases counted; got {ROOT_FIELDS_MAX + 1}.",
        ),
        (
            "{ leaderboard { nodes { " + " ".join(f"a{n}: rank" for n in range(FIELDS_MAX)) + " } } }",
            f"An operation may select {FIELDS_MAX} fields; got {FIELDS_MAX + 2}.",
        ),
        (
            "{ a" * LEVELS_MAX + " { b }" + " }" * LEVELS_MAX,
            f"Selections may be nested {LEVELS_MAX} levels deep, fragments counted.",
        ),
        ("{ a" * 201 + " }" * 201, "Syntax Error: Document is nested too deeply. Parsing aborted."),
        (doubling(10), f"An operation may have {ROOT_FIELDS_MAX} root fields, aliases counted; got 1024."),
        (doubling(60), f"Selections may be nested {LEVELS_MAX} levels deep, fragments counted."),
    ],
)
def test_a_document_beyond_a_limit_is_refused(query: str, message: str) -> None:
    assert refusal(query) == ("QUERY_TOO_COMPLEX", message)


def test_fragments_in_a_circle_are_measured_and_then_refused_as_invalid() -> None:
    code, message = refusal(
        "{ leaderboard { ...A } } fragment A on LeaderboardConnection { ...B } "
        "fragment B on LeaderboardConnection { totalCount ...A }"
    )
    assert code == "BAD_USER_INPUT"
    assert message == "Cannot spread fragment 'A' within itself via 'B'."


def test_the_dearest_document_within_the_limits_is_checked_quickly() -> None:
    fields = " ".join(f"leaderboard {{ nodes {{ {'rank ' * 20} }} }}" for _ in range(ROOT_FIELDS_MAX))
    began = perf_counter()
    assert isinstance(prepare(GRAPHQL_SCHEMA, f"{{ {fields} }}", None), Prepared)
    assert perf_counter() - began < 2


def test_the_same_document_is_prepared_once_even_when_it_is_refused() -> None:
    documents = Documents(GRAPHQL_SCHEMA)
    accepted = documents.prepare("{ __typename }", None)
    refused = documents.prepare("{ nothing }", None)
    assert isinstance(accepted, Prepared)
    assert isinstance(refused, RefusedDocument)
    assert documents.prepare("{ __typename }", None) is accepted
    assert documents.prepare("{ nothing }", None) is refused
    assert refused.errors == [
        {
            "message": "Cannot query field 'nothing' on type 'Query'.",
            "locations": [{"line": 1, "column": 3}],
            "extensions": {"code": "BAD_USER_INPUT"},
        }
    ]
