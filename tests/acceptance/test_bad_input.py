"""What can never work is refused with a code and a sentence that names the input, and changes nothing."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import pytest

from domain.cursor import session_cursor, standing_cursor
from domain.ids import make_uuid7
from infra.local.cluster import LocalCluster
from tests.acceptance.client import SUBMIT, Api, stored, without_ids
from tests.factories import make_id

INPUT: dict[str, Any] = {"userId": "7", "username": "Ada", "score": 10}
YEAR_S = 366 * 24 * 3600
UUID4 = "9f2c1b54-6f0e-4d63-9d4e-0d8f0c5a7b11"
OF_1970 = "00000000-0001-7000-8000-000000000000"
NEXT_YEAR = make_uuid7(int((time.time() + YEAR_S) * 1000))
MONTHS_AGO = make_uuid7(int((time.time() - 31 * 24 * 3600) * 1000))

SUBMISSIONS: list[tuple[dict[str, Any], str]] = [
    ({"userId": ""}, "input.userId must be a signed 64-bit integer in decimal, such as \"42\"; got ''."),
    ({"userId": "Ada"}, "input.userId must be a signed 64-bit integer in decimal, such as \"42\"; got 'Ada'."),
    ({"userId": "1.5"}, "input.userId must be a signed 64-bit integer in decimal, such as \"42\"; got '1.5'."),
    ({"userId": "٤٢"}, "input.userId must be a signed 64-bit integer in decimal, such as \"42\"; got '٤٢'."),
    (
        {"userId": str(2**63)},
        "input.userId must lie between -9223372036854775808 and 9223372036854775807; got 9223372036854775808.",
    ),
    (
        {"userId": str(-(2**63) - 1)},
        "input.userId must lie between -9223372036854775808 and 9223372036854775807; got -9223372036854775809.",
    ),
    ({"username": ""}, "input.username must have 1 to 100 characters and not be blank; got 0."),
    ({"username": " \t\u3000"}, "input.username must have 1 to 100 characters and not be blank; got 0."),
    ({"username": "x" * 101}, "input.username must have 1 to 100 characters and not be blank; got 101."),
    ({"username": "A\0da"}, "input.username must not hold the character NUL (U+0000)."),
    ({"score": 2**53}, f"input.score must lie between -{2**53 - 1} and {2**53 - 1}; got {2**53}."),
    ({"score": -(2**53)}, f"input.score must lie between -{2**53 - 1} and {2**53 - 1}; got -{2**53}."),
    ({"score": 1e300}, f"input.score must lie between -{2**53 - 1} and {2**53 - 1}; got {int(1e300)}."),
    ({"gameMode": ""}, "input.gameMode must have 1 to 50 characters and not be blank; got 0."),
    ({"gameMode": "x" * 51}, "input.gameMode must have 1 to 50 characters and not be blank; got 51."),
    ({"gameMode": "a\0"}, "input.gameMode must not hold the character NUL (U+0000)."),
    ({"durationSeconds": -1}, "input.durationSeconds must be 0 .. 2147483647; got -1."),
    (
        {"submissionId": "x"},
        "input.submissionId must be a UUID such as 019aa0e2-7c00-7000-8000-000000000000; got 'x'.",
    ),
    (
        {"submissionId": UUID4},
        "input.submissionId must be a version 7 UUID (RFC 9562), which carries the time of the session; "
        f"got version 4: {UUID4}.",
    ),
    (
        {"submissionId": OF_1970},
        "input.submissionId carries the time 1970-01-01T00:00:00Z, more than 30 days ago; "
        "older sessions come in through `shardboard import`.",
    ),
    ({"submissionId": str(MONTHS_AGO)}, "ago; older sessions come in through `shardboard import`."),
    (
        {"submissionId": str(NEXT_YEAR)},
        "more than 5 minutes ahead of the service's clock; check the clock of the machine that made it.",
    ),
]

# What is of another kind altogether is refused before the service looks at it.
COERCIONS: list[tuple[dict[str, Any], str]] = [
    (
        {"userId": None},
        "Variable '$input' has invalid value at .userId: Expected value of non-null type 'ID!'",
    ),
    ({"userId": 1.5}, "Variable '$input' has invalid value at .userId: ID cannot represent value: 1.5"),
    (
        {"username": 5},
        "Variable '$input' has invalid value at .username: String cannot represent a non string",
    ),
    ({"score": 1.5}, "Variable '$input' has invalid value at .score: Score cannot represent a value that is not an"),
    ({"score": "10"}, "Variable '$input' has invalid value at .score: Score cannot represent a value that is not an"),
    ({"durationSeconds": 2**31}, "Variable '$input' has invalid value at .durationSeconds: Int cannot represent non"),
    ({"more": 1}, "Variable '$input' has invalid value: Expected value of type 'SubmitScoreInput' not to include"),
]


@pytest.mark.parametrize(("bad", "message"), SUBMISSIONS + COERCIONS)
async def test_a_bad_submission_is_refused(api: Api, clean: LocalCluster, bad: dict[str, Any], message: str) -> None:
    code, said = await api.refused(SUBMIT, {"input": INPUT | bad})
    assert code == "BAD_USER_INPUT"
    assert message in said
    assert await stored(clean) == []


async def test_a_missing_field_is_named(api: Api, clean: LocalCluster) -> None:
    code, said = await api.refused(SUBMIT, {"input": {"userId": "7", "score": 1}})
    assert code == "BAD_USER_INPUT"
    assert "to include required field 'username'" in said
    assert await stored(clean) == []


@pytest.mark.parametrize(("before", "more"), [(2**53 - 1, 1), (-(2**53 - 1), -1), (2**52, 2**52)])
async def test_a_total_that_would_leave_its_range_is_refused(
    api: Api, clean: LocalCluster, before: int, more: int
) -> None:
    await api.submit(**INPUT | {"score": before})
    held = await stored(clean)
    code, said = await api.refused(SUBMIT, {"input": INPUT | {"score": more}})
    assert code == "BAD_USER_INPUT"
    assert "total" in said
    assert await stored(clean) == held
    assert (await api.submit(**INPUT | {"score": 0}))["standing"]["totalScore"] == before


FORGED = "after is not a cursor of board 'global'; take it as it is from `endCursor` or `cursor` of an earlier page."
READS: list[tuple[str, str, str]] = [
    *(
        (f"{{ {field} }}", "BAD_USER_INPUT", f"first must lie between 1 and 100; got {first}.")
        for first in (0, -1, 101)
        for field in (
            f"leaderboard(first: {first}) {{ totalCount }}",
            f"history(userId: 7, first: {first}) {{ totalCount }}",
        )
    ),
    ('{ leaderboard(after: "") { totalCount } }', "BAD_USER_INPUT", FORGED),
    ('{ leaderboard(after: "AAAA") { totalCount } }', "BAD_USER_INPUT", FORGED),
    ('{ leaderboard(after: "🎮") { totalCount } }', "BAD_USER_INPUT", FORGED),
    (f'{{ leaderboard(after: "{"A" * 5000}") {{ totalCount }} }}', "BAD_USER_INPUT", FORGED),
    (f'{{ leaderboard(after: "{standing_cursor("weekly", 5, 7)}") {{ totalCount }} }}', "BAD_USER_INPUT", FORGED),
    (f'{{ leaderboard(after: "{session_cursor(7, UUID(OF_1970))}") {{ totalCount }} }}', "BAD_USER_INPUT", FORGED),
    (
        f'{{ history(userId: 7, after: "{session_cursor(8, UUID(OF_1970))}") {{ totalCount }} }}',
        "BAD_USER_INPUT",
        "after is not a cursor of the history of player 7; take it as it is from `endCursor` or `cursor` of an earlier "
        "page.",
    ),
    *(
        (f"{{ {field} }}", "NOT_FOUND", "There is no board 'weekly'; the board 'global' always exists.")
        for field in (
            'leaderboard(board: "weekly") { totalCount }',
            'rank(userId: 7, board: "weekly") { rank }',
            'ranks(userIds: [7], board: "weekly") { rank }',
            'around(userId: 7, board: "weekly") { rank }',
        )
    ),
    *(
        (f"{{ {field} }}", "BAD_USER_INPUT", 'userId must be a signed 64-bit integer in decimal, such as "42"; got')
        for field in (
            'rank(userId: "") { rank }',
            'around(userId: "x") { rank }',
            'history(userId: "x") { totalCount }',
        )
    ),
    (
        '{ ranks(userIds: [7, "x"]) { rank } }',
        "BAD_USER_INPUT",
        "userIds[1] must be a signed 64-bit integer",
    ),
    (f"{{ ranks(userIds: {list(range(101))}) {{ rank }} }}", "BAD_USER_INPUT", "userIds"),
    ("{ around(userId: 7, radius: -1) { rank } }", "BAD_USER_INPUT", "radius must lie between"),
    ("{ around(userId: 7, radius: 51) { rank } }", "BAD_USER_INPUT", "radius must lie between"),
    ("{ leaderboard(first: 1.5) { totalCount } }", "BAD_USER_INPUT", "Int cannot represent non-integer value: 1.5"),
    ("{ leaderboard { nothing } }", "BAD_USER_INPUT", "Cannot query field 'nothing' on type 'LeaderboardConnection'."),
    ("{ leaderboard ", "BAD_USER_INPUT", "Syntax Error: Expected Name, found <EOF>."),
    ("subscription { topChanged { nothing } }", "BAD_USER_INPUT", "Cannot query field 'nothing' on type 'TopChange'."),
]


@pytest.mark.parametrize(("query", "code", "message"), READS)
async def test_a_bad_read_is_refused(api: Api, query: str, code: str, message: str) -> None:
    assert await api.refused(query) == (code, _containing(message))


async def test_the_refusal_names_the_place_in_the_document(api: Api) -> None:
    answer = await api.send('query Rank {\n  mine: rank(userId: "x") { rank }\n}')
    assert without_ids(answer) == {
        "errors": [
            {
                "message": "userId must be a signed 64-bit integer in decimal, such as \"42\"; got 'x'.",
                "locations": [{"line": 2, "column": 3}],
                "path": ["mine"],
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ],
        "data": {"mine": None},
    }


async def test_the_same_id_is_good_after_a_refusal(api: Api) -> None:
    id_ = str(make_id())
    await api.refused(SUBMIT, {"input": INPUT | {"submissionId": id_, "username": ""}})
    assert (await api.submit(**INPUT | {"submissionId": id_}))["duplicate"] is False


class _containing(str):  # noqa: N801
    """Equal to every text that contains it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and str(self) in other

    __hash__ = str.__hash__
