"""Compiled operations answer byte for byte as graphql-core does: a table of what differs easily."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from graph.documents import RefusedDocument, prepare
from graph.schema import GRAPHQL_SCHEMA
from tests.graph import world
from tests.graph.compare import both, prepared

STANDING = "rank userId username totalScore gamesPlayed lastPlayed percentile"
SESSION = "id userId score gameMode durationSeconds playedAt"
SUBMIT = (
    "mutation ($input: SubmitScoreInput!) { submitScore(input: $input) { session { %s } standing { %s } duplicate } }"
)
INPUT = {"userId": "7", "username": "Ada", "score": 100}

# fmt: off
COMPILED: list[tuple[str, dict[str, Any]]] = [
    ("{ leaderboard { nodes { rank userId username totalScore gamesPlayed lastPlayed percentile } asOf cached } }", {}),
    ("{ leaderboard(first: 3) { edges { cursor node { rank } } pageInfo { startCursor endCursor } } }", {}),
    ("{ leaderboard(first: 3) { pageInfo { hasNextPage hasPreviousPage } nodes { userId } } }", {}),
    ("{ leaderboard(first: 0) { totalCount } }", {}),
    ('{ leaderboard(board: "600") { nodes { rank username } } }', {}),
    ('{ leaderboard(board: "601") { nodes { rank gamesPlayed } totalCount } }', {}),
    ('{ leaderboard(board: "602", after: "x") { nodes { rank percentile } pageInfo { hasPreviousPage } } }', {}),
    ("{ a: leaderboard(first: 1) { totalCount } b: leaderboard(first: 2) { nodes { userId } } }", {}),
    ("query ($n: Int! = 2) { leaderboard(first: $n) { nodes { userId } } }", {}),
    ("query ($n: Int! = 2) { leaderboard(first: $n) { nodes { userId } } }", {"n": 4}),
    ("query ($n: Int = 2) { leaderboard(first: $n) { nodes { userId } } }", {"n": None}),
    ("query ($a: String) { leaderboard(first: 1, after: $a) { pageInfo { hasPreviousPage } } }", {}),
    ("query ($a: String) { leaderboard(first: 1, after: $a) { pageInfo { hasPreviousPage } } }", {"a": None}),
    ("query ($a: String) { leaderboard(first: 1, after: $a) { pageInfo { hasPreviousPage } } }", {"a": "c"}),
    ('{ rank(userId: "7") { percentile lastPlayed gamesPlayed totalScore username userId rank } }', {}),
    ("{ rank(userId: 7) { userId } }", {}),
    ("query ($u: ID!) { rank(userId: $u) { userId rank } }", {"u": "-9223372036854775808"}),
    ("query ($u: ID!) { rank(userId: $u) { userId rank } }", {"u": 42}),
    ("query ($u: ID!) { rank(userId: $u) { userId rank } }", {"u": 42.0}),
    ("query ($u: ID!) { rank(userId: $u) { userId rank } }", {"u": 42.5}),
    ("query ($u: ID!) { rank(userId: $u) { userId rank } }", {"u": None}),
    ("query ($u: ID!) { rank(userId: $u) { userId rank } }", {"u": True}),
    ("query ($u: ID!) { rank(userId: $u) { userId rank } }", {"u": ["7"]}),
    ("query ($u: ID!) { rank(userId: $u) { userId rank } }", {}),
    ("query ($u: ID!) { rank(userId: $u) { userId rank } }", {"u": "7", "unknown": 1}),
    ('query ($u: ID = "5") { rank(userId: $u) { userId } }', {}),
    ('query ($u: ID = "5") { rank(userId: $u) { userId } }', {"u": None}),
    ('{ rank(userId: "404") { userId } }', {}),
    ('{ rank(userId: "503") { userId } }', {}),
    ('{ rank(userId: "500") { userId } }', {}),
    ('{ rank(userId: "501") { userId } }', {}),
    ('{ rank(userId: "600") { userId username } }', {}),
    ('{ rank(userId: "601") { gamesPlayed } }', {}),
    ('{ rank(userId: "x") { userId } }', {}),
    ('{ a: rank(userId: "503") { userId } b: rank(userId: "7") { userId } c: rank(userId: "500") { userId } }', {}),
    ('{ rank(userId: "7") { } }', {}),
    ("{ __typename }", {}),
    ('{ b: __typename rank(userId: "7") { __typename userId t: __typename } __typename }', {}),
    ('{ ranks(userIds: ["1", 2, "404"]) { userId } }', {}),
    ('{ ranks(userIds: "1") { userId } }', {}),
    ('{ ranks(userIds: ["1", "503"]) { userId } }', {}),
    ('{ ranks(userIds: ["1", "600"]) { username } }', {}),
    ("query ($u: [ID!]!) { ranks(userIds: $u) { userId } }", {"u": ["1", "2"]}),
    ("query ($u: [ID!]!) { ranks(userIds: $u) { userId } }", {"u": "1"}),
    ("query ($u: [ID!]!) { ranks(userIds: $u) { userId } }", {"u": ["1", None]}),
    ("query ($u: ID!) { ranks(userIds: [$u, 8]) { userId } }", {"u": "1"}),
    ('{ around(userId: "7", radius: 2) { rank userId } }', {}),
    ('{ around(userId: "404") { rank } }', {}),
    ('{ around(userId: "600", radius: 0) { username } }', {}),
    ('{ history(userId: "7", first: 3) { nodes { id userId score gameMode durationSeconds playedAt } } }', {}),
    ('{ history(userId: "7", first: 2) { edges { cursor node { id } } pageInfo { startCursor hasNextPage } } }', {}),
    ('{ history(userId: "7", first: 1, gameMode: null) { pageInfo { hasNextPage } } }', {}),
    ('{ history(userId: "7", first: 1, gameMode: "x") { pageInfo { hasNextPage } } }', {}),
    ('{ history(userId: "7", first: 0) { nodes { id } pageInfo { startCursor endCursor } } }', {}),
    ('{ history(userId: "503") { totalCount } rank(userId: "1") { userId } }', {}),
    ("query ($n: Int!) { history(userId: 7, first: $n) { totalCount } }", {"n": 2**31}),
    ("query ($n: Int!) { history(userId: 7, first: $n) { totalCount } }", {"n": 2.0}),
    ("query ($n: Int!) { history(userId: 7, first: $n) { totalCount } }", {"n": "2"}),
    # merged keys, fragments and constant directives
    ('{ rank(userId: "7") { rank } rank(userId: "7") { userId rank } }', {}),
    ("{ leaderboard(first: 1) { nodes { rank } ...F nodes { userId } } } fragment F on LeaderboardConnection { nodes { "
     "username rank } totalCount }", {}),
    ("query { ...Q ...Q } fragment Q on Query { leaderboard(first: 1) { nodes { ...S ... { rank } ... on Standing { r: "
     "rank } } } } fragment S on Standing { userId }", {}),
    ("{ leaderboard(first: 1) { nodes { rank @skip(if: true) userId @include(if: true) username @include(if: false) } "
     "totalCount @skip(if: false) @include(if: true) } }", {}),
    ("query A { rank(userId: 1) { userId } }", {}),
    # mutations
    (SUBMIT % (SESSION, STANDING), {"input": INPUT}),
    (SUBMIT % ("id", "rank"), {"input": INPUT | {"gameMode": "ranked", "durationSeconds": 0, "username": "twice"}}),
    (SUBMIT % ("gameMode", "rank"), {"input": INPUT | {"gameMode": None, "durationSeconds": None}}),
    (SUBMIT % ("score", "rank"), {"input": INPUT | {"score": 2.0}}),
    (SUBMIT % ("score", "rank"), {"input": INPUT | {"score": 2.5}}),
    (SUBMIT % ("score", "rank"), {"input": INPUT | {"score": 2**70}}),
    (SUBMIT % ("score", "rank"), {"input": INPUT | {"score": True}}),
    (SUBMIT % ("score", "rank"), {"input": INPUT | {"score": "5"}}),
    (SUBMIT % ("score", "rank"), {"input": INPUT | {"score": None}}),
    (SUBMIT % ("score", "rank"), {"input": INPUT | {"score": 503}}),
    (SUBMIT % ("score", "rank"), {"input": INPUT | {"score": 500}}),
    (SUBMIT % ("score", "rank"), {"input": INPUT | {"score": 409}}),
    (SUBMIT % ("score", "rank"), {"input": INPUT | {"userId": 7}}),
    (SUBMIT % ("score", "username"), {"input": INPUT | {"userId": "600"}}),
    (SUBMIT % ("score", "rank"), {"input": INPUT | {"submissionId": "x"}}),
    (SUBMIT % ("score", "rank"), {"input": INPUT | {"submissionId": 5}}),
    (SUBMIT % ("score", "rank"), {"input": INPUT | {"submissionId": str(world.SESSION_ID)}}),
    (SUBMIT % ("score", "rank"), {"input": INPUT | {"more": 1}}),
    (SUBMIT % ("score", "rank"), {"input": {"userId": "7"}}),
    (SUBMIT % ("score", "rank"), {"input": [INPUT]}),
    (SUBMIT % ("score", "rank"), {"input": "x"}),
    ('mutation { submitScore(input: {userId: 7, username: "a", score: 9007199254740993}) { duplicate } }', {}),
    ('mutation { submitScore(input: {userId: 7, username: "a", score: 1e2}) { session { score } } }', {}),
    ('mutation ($s: Score!, $m: String) { submitScore(input: {userId: 7, username: "a", score: $s, gameMode: $m}) { '
     "session { score gameMode } } }", {"s": 4}),
    ('mutation ($s: Score!, $m: String) { submitScore(input: {userId: 7, username: "a", score: $s, gameMode: $m}) { '
     "session { score gameMode } } }", {"s": 4, "m": None}),
    ('mutation ($s: Score = 3) { submitScore(input: {userId: 7, username: "a", score: $s}) { duplicate } }', {}),
    ('mutation ($s: Score = 3) { submitScore(input: {userId: 7, username: "a", score: $s}) { duplicate } }',
     {"s": None}),
    ('mutation ($i: SubmitScoreInput! = {userId: 7, username: "a", score: 1}) { submitScore(input: $i) { duplicate } }',
     {}),
    ('mutation { a: submitScore(input: {userId: 7, username: "a", score: 1}) { duplicate } b: submitScore(input: '
     '{userId: 7, username: "a", score: 503}) { duplicate } c: submitScore(input: {userId: 7, username: "a", score: '
     "2}) { duplicate } }", {}),
    ('mutation { a: submitScore(input: {userId: 7, username: "a", score: 1}) { session { score } } b: submitScore('
     'input: {userId: 8, username: "b", score: 2}) { session { score } } }', {}),
    ("mutation ($i: [SubmitScoreInput!]!) { submitScores(inputs: $i) { payload { session { score } } error { code "
     "message } } }", {"i": [INPUT, INPUT | {"score": 2**60}, INPUT | {"score": 503}, INPUT | {"userId": "y"}]}),
    ("mutation ($i: [SubmitScoreInput!]!) { submitScores(inputs: $i) { payload { standing { username } } error { code "
     "} } }", {"i": [INPUT, INPUT | {"userId": "600"}]}),
    ("mutation ($i: [SubmitScoreInput!]!) { submitScores(inputs: $i) { payload { duplicate } } }", {"i": []}),
    ("mutation ($i: [SubmitScoreInput!]!) { submitScores(inputs: $i) { payload { duplicate } } }", {"i": INPUT}),
    ("mutation ($i: SubmitScoreInput!) { submitScores(inputs: [$i, {userId: 1, username: \"b\", score: 2}]) { payload "
     "{ session { userId } } } }", {"i": INPUT}),
]

# fmt: on
LEFT_TO_CORE: list[tuple[str, dict[str, Any]]] = [
    ("{ leaderboard(first: 4) { nodes { userId joinedAt } } }", {}),
    ("{ leaderboard(first: 2) { nodes { recentSessions { id } more: recentSessions(first: 2) { score } } } }", {}),
    ("{ leaderboard(first: 2) { nodes { recentSessions(first: 21) { id } } } }", {}),
    ("{ __schema { queryType { name } } }", {}),
    ('{ __type(name: "Standing") { fields { name } } rank(userId: 7) { userId } }', {}),
    ("query ($x: Boolean!) { leaderboard(first: 1) { nodes { userId @skip(if: $x) } totalCount } }", {"x": True}),
    ("query ($x: Boolean!) { rank(userId: 7) @include(if: $x) { userId } }", {"x": False}),
    ("query ($x: Boolean!) { rank(userId: 7) @include(if: $x) { userId } }", {}),
]


@pytest.fixture(autouse=True)
def _inhabited(monkeypatch: pytest.MonkeyPatch) -> None:
    world.inhabit(monkeypatch)


@pytest.mark.parametrize(("query", "variables"), COMPILED)
async def test_a_compiled_operation_answers_as_graphql_core(query: str, variables: dict[str, Any]) -> None:
    operation = prepared(query)
    assert operation.compiled is not None
    served, core = await both(operation, variables)
    assert served == core


@pytest.mark.parametrize(("query", "variables"), LEFT_TO_CORE)
async def test_what_needs_more_than_its_source_is_left_to_graphql_core(query: str, variables: dict[str, Any]) -> None:
    operation = prepared(query)
    assert operation.compiled is None
    served, core = await both(operation, variables)
    assert served == core


async def test_internals_of_a_fault_are_masked_and_logged_under_the_id_of_the_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    served, _ = await both(prepared('{ rank(userId: "500") { userId } }'), {})
    assert orjson.loads(served) == {
        "errors": [
            {
                "message": "Internal server error.",
                "locations": [{"line": 1, "column": 3}],
                "path": ["rank"],
                "extensions": {"code": "INTERNAL_SERVER_ERROR", "id": "some"},
            }
        ],
        "data": {"rank": None},
    }
    record = caplog.records[0]
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "secret"
    assert len(record.error_id) == 32  # type: ignore[attr-defined]


async def test_an_operation_is_chosen_by_its_name() -> None:
    text = "query A { rank(userId: 1) { userId } } query B { rank(userId: 2) { userId } }"
    served, core = await both(prepared(text, "B"), {})
    assert served == core == b'{"data":{"rank":{"userId":"2"}}}'


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("query A { __typename } query B { __typename }", None, "Must provide operation name if query contains "
         "multiple operations."),
        ("query A { __typename }", "C", "Unknown operation named 'C'."),
        ("fragment F on Query { __typename }", None, "Fragment 'F' is never used."),
    ],
)  # fmt: skip
def test_a_name_that_chooses_no_operation_is_refused(text: str, name: str | None, message: str) -> None:
    made = prepare(GRAPHQL_SCHEMA, text, name)
    assert isinstance(made, RefusedDocument)
    assert [(error["message"], error["extensions"]) for error in made.errors] == [(message, {"code": "BAD_USER_INPUT"})]


async def test_a_serial_mutation_stops_after_the_first_field_that_may_not_be_null_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores: list[int] = []

    async def submit(parts: Any, submission: Any) -> Any:
        scores.append(submission.score)
        return await world.submit_score(parts, submission)

    monkeypatch.setattr("graph.mutations.submit_score", submit)
    inputs = "".join(
        f'm{score}: submitScore(input: {{userId: 7, username: "a", score: {score}}}) {{ duplicate }} '
        for score in (1, 503, 2)
    )
    operation = prepared(f"mutation {{ {inputs} }}")
    assert operation.compiled is not None
    await both(operation, {})
    assert scores == [1, 503, 1, 503]
