"""Documents that would cost too much are refused before they cost anything."""

from __future__ import annotations

from time import thread_time

import pytest
from graphql import get_introspection_query

from graph.cost import COST_MAX
from graph.disclosure import OPEN
from graph.documents import Documents, Prepared, RefusedDocument, prepare
from graph.limits import (
    ALIASES_MAX,
    ARGUMENTS_MAX,
    DEFINITIONS_MAX,
    DIRECTIVES_MAX,
    DOCUMENT_LENGTH_MAX,
    LEVELS_MAX,
    LITERAL_LEVELS_MAX,
    NUMBER_LENGTH_MAX,
    ROOT_FIELDS_MAX,
    SELECTIONS_MAX,
    TOKENS_MAX,
    VARIABLES_MAX,
)
from graph.schema import GRAPHQL_SCHEMA
from graph.validation import ERRORS_MAX, OVERLAP_STEPS_MAX
from tests.graph.shapes import SHAPES, doubling, doubling_nothing, many, nested

CHECKED_S_MAX = 0.050
SIZES = (5, 15, 30, 48, 80, 120, 250, 400, 1_000, 10_000)


def refusal(query: str) -> tuple[str, str]:
    made = prepare(GRAPHQL_SCHEMA, query, None)
    assert isinstance(made, RefusedDocument), "it was accepted"
    (error,) = made.errors
    return error["extensions"]["code"], error["message"]


def seconds(query: str) -> float:
    """The time of the processor that a document takes to be accepted or refused, at best."""
    best = float("inf")
    for _ in range(8):
        began = thread_time()
        prepare(GRAPHQL_SCHEMA, query, None)
        best = min(best, thread_time() - began)
        if best < CHECKED_S_MAX:
            break
    return best


@pytest.mark.parametrize("name", SHAPES)
def test_a_document_of_any_shape_and_size_is_checked_in_50_ms(name: str) -> None:
    for size in SIZES:
        query = SHAPES[name](size)
        if len(query) < 1_000_000:
            assert seconds(query) < CHECKED_S_MAX, f"{size}: {query[:200]}"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"descriptions": True, "specified_by_url": True, "directive_is_repeatable": True},
        {
            "descriptions": True,
            "specified_by_url": True,
            "directive_is_repeatable": True,
            "schema_description": True,
            "input_value_deprecation": True,
        },
    ],
)
def test_the_introspection_of_the_usual_tools_is_within_the_limits(options: dict[str, bool]) -> None:
    assert isinstance(prepare(GRAPHQL_SCHEMA, get_introspection_query(**options), None), Prepared)


STANDING = "rank userId username totalScore gamesPlayed lastPlayed percentile joinedAt"
SESSION = "id userId score gameMode durationSeconds playedAt"


@pytest.mark.parametrize(
    "query",
    [
        f"{{ leaderboard(first: 100) {{ nodes {{ {STANDING} recentSessions(first: 20) {{ {SESSION} }} }} }} }}",
        "query ($first: Int!) { leaderboard(first: $first) { edges { cursor node { " + STANDING + " } } totalCount } }",
        "query ($ids: [ID!]!) { " + " ".join(f"a{n}: ranks(userIds: $ids) {{ {STANDING} }}" for n in range(15)) + " }",
        "mutation ($inputs: [SubmitScoreInput!]!) { submitScores(inputs: $inputs) { payload { session { "
        + SESSION
        + " } standing { "
        + STANDING
        + " } duplicate } error { code message } } }",
        f"{{ leaderboard {{ nodes {{ {many('...F#', 12)} }} }} }} "
        + many(f"fragment F# on Standing {{ {STANDING} }}", 12),
    ],
)
def test_what_a_large_client_asks_for_is_within_the_limits(query: str) -> None:
    made = prepare(GRAPHQL_SCHEMA, query, None)
    assert isinstance(made, Prepared), made
    assert not made.depends


def nodes(selections: str) -> str:
    return f"{{ leaderboard {{ nodes {{ {selections} }} }} }}"


DEEP = f"Selections may be nested {LEVELS_MAX} levels deep, fragments counted."
DEEP_VALUE = f"Lists and objects may be nested {LITERAL_LEVELS_MAX} levels deep in a document."
COST = f"An operation may cost {COST_MAX} (its fields, times the lengths of the lists that they are in)"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            '{ a(b: "' + "x" * DOCUMENT_LENGTH_MAX + '") }',
            f"A document may have {DOCUMENT_LENGTH_MAX} characters; got {DOCUMENT_LENGTH_MAX + 12}.",
        ),
        (
            "{ " + "a " * TOKENS_MAX + "}",
            f"Syntax Error: Document contains more than {TOKENS_MAX} tokens. Parsing aborted.",
        ),
        (
            "{ " + many("a#: __typename", ROOT_FIELDS_MAX + 1) + " }",
            f"An operation may have {ROOT_FIELDS_MAX} root fields, aliases counted; got {ROOT_FIELDS_MAX + 1}.",
        ),
        (
            nodes(many("a#: rank", ALIASES_MAX + 1)),
            f"An operation may have {ALIASES_MAX} aliases; got {ALIASES_MAX + 1}.",
        ),
        (
            nodes("rank " * SELECTIONS_MAX),
            f"An operation may select {SELECTIONS_MAX} fields, fragments counted; got {SELECTIONS_MAX + 2}.",
        ),
        (nested("{ a ", "{ b }", " }", LEVELS_MAX), DEEP),
        (nested("{ a ", "{ b }", " }", 200), "Syntax Error: Document is nested too deeply. Parsing aborted."),
        (
            "{ __typename " + "@skip(if: false) " * (DIRECTIVES_MAX + 1) + "}",
            f"A document may have {DIRECTIVES_MAX} directives; got {DIRECTIVES_MAX + 1}.",
        ),
        (
            f"query ({many('$a#: Int', VARIABLES_MAX + 1)}) {{ __typename }}",
            f"A document may define {VARIABLES_MAX} variables; got {VARIABLES_MAX + 1}.",
        ),
        (
            many("query Q# { __typename }", DEFINITIONS_MAX + 1),
            f"A document may have {DEFINITIONS_MAX} operations and fragments; got {DEFINITIONS_MAX + 1}.",
        ),
        (
            f"{{ leaderboard({many('a#: 1', ARGUMENTS_MAX + 1)}) {{ totalCount }} }}",
            f"A field or directive may have {ARGUMENTS_MAX} arguments; got {ARGUMENTS_MAX + 1}.",
        ),
        (
            f"mutation {{ submitScore(input: {{ {many('a#: 1', ARGUMENTS_MAX + 1)} }}) {{ duplicate }} }}",
            f"An object in a document may have {ARGUMENTS_MAX} entries; got {ARGUMENTS_MAX + 1}.",
        ),
        (f"{{ ranks(userIds: {nested('[', '1', ']', LITERAL_LEVELS_MAX + 1)}) {{ rank }} }}", DEEP_VALUE),
        (
            f"query ($a: {nested('[', 'ID', ']', LITERAL_LEVELS_MAX + 1)}) {{ ranks(userIds: $a) {{ rank }} }}",
            DEEP_VALUE,
        ),
        (
            f"{{ leaderboard(first: {'1' * (NUMBER_LENGTH_MAX + 1)}) {{ totalCount }} }}",
            f"A number in a document may have {NUMBER_LENGTH_MAX} digits; got {NUMBER_LENGTH_MAX + 1}.",
        ),
        (doubling(5), f"An operation may have {ROOT_FIELDS_MAX} root fields, aliases counted; got 32."),
        (
            doubling_nothing(10),
            f"An operation may select {SELECTIONS_MAX} fields, fragments counted; got 2047.",
        ),
        (doubling(48), DEEP),
        (
            nodes("recentSessions { id } " * 60),
            "Too many fields of one name, or fragments within fragments: comparing them takes more than "
            f"{OVERLAP_STEPS_MAX} steps.",
        ),
        (
            "{ "
            + many(
                "a#: leaderboard(first: 100) { nodes { rank userId username totalScore gamesPlayed lastPlayed "
                "percentile } }",
                20,
            )
            + " }",
            f"{COST}; got {20 * (10 + 1 + 1 + 100 * 8)}.",
        ),
    ],
)
def test_a_document_beyond_a_limit_is_refused(query: str, message: str) -> None:
    assert refusal(query) == ("QUERY_TOO_COMPLEX", message)


def test_a_document_with_many_mistakes_is_read_no_further_than_the_first() -> None:
    made = prepare(GRAPHQL_SCHEMA, nodes(many("userna#", 100)), None)
    assert isinstance(made, RefusedDocument)
    assert [error["message"] for error in made.errors] == [
        f"Cannot query field 'userna{number}' on type 'Standing'. Did you mean 'username' or 'userId'?"
        for number in range(ERRORS_MAX)
    ]


def test_fragments_in_a_circle_are_measured_and_then_refused_as_invalid() -> None:
    code, message = refusal(
        "{ leaderboard { ...A } } fragment A on LeaderboardConnection { ...B } "
        "fragment B on LeaderboardConnection { totalCount ...A }"
    )
    assert code == "BAD_USER_INPUT"
    assert message == "Cannot spread fragment 'A' within itself via 'B'."


def test_the_same_document_is_prepared_once_even_when_it_is_refused() -> None:
    documents = Documents(GRAPHQL_SCHEMA, OPEN)
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
