from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid1, uuid4

import pytest

from domain.errors import BadUserInput, ErrorCode
from domain.ids import make_uuid7
from domain.submission import SCORE_MAX, IdWindow, Submission, check_submission

GOOD: dict[str, Any] = {
    "user_id": "42",
    "username": "Ada",
    "score": 10,
    "game_mode": "arena",
    "duration_seconds": 90,
    "submission_id": None,
    "window": IdWindow(),
}


def check(**fields: Any) -> Submission:
    return check_submission(**{**GOOD, **fields})


def id_of(instant: datetime) -> str:
    return str(make_uuid7(int(instant.timestamp() * 1000)))


def test_a_good_submission_is_taken_as_it_is() -> None:
    given_id = make_uuid7(time.time_ns() // 1_000_000)
    before_us = time.time_ns() // 1000
    taken = check(submission_id=str(given_id))
    assert (taken.id, taken.user_id, taken.username, taken.score) == (given_id, 42, "Ada", 10)
    assert (taken.game_mode, taken.duration_seconds) == ("arena", 90)
    assert before_us <= taken.recorded_us <= time.time_ns() // 1000


def test_without_an_id_the_service_makes_one_of_now() -> None:
    before_ms = time.time_ns() // 1_000_000
    one, other = check(), check()
    assert one.id.version == other.id.version == 7
    assert before_ms <= one.id.int >> 80 <= time.time_ns() // 1_000_000
    assert one.id != other.id


@pytest.mark.parametrize(
    ("field", "value", "taken"),
    [
        ("username", "  Ada\t\n", "Ada"),
        ("username", " " + "x" * 100 + " ", "x" * 100),
        ("username", "☃" * 100, "☃" * 100),
        ("username", "𝔸da 👩‍🚀", "𝔸da 👩‍🚀"),
        ("username", "Ada\u202eadA", "Ada\u202eadA"),
        ("score", SCORE_MAX, SCORE_MAX),
        ("score", -SCORE_MAX, -SCORE_MAX),
        ("score", 0, 0),
        ("game_mode", None, None),
        ("game_mode", "m" * 50, "m" * 50),
        ("duration_seconds", None, None),
        ("duration_seconds", 0, 0),
        ("duration_seconds", 2**31 - 1, 2**31 - 1),
    ],
)
def test_the_ends_of_every_range_are_good(field: str, value: object, taken: object) -> None:
    assert getattr(check(**{field: value}), field) == taken


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"user_id": ""}, "input.userId must be a signed 64-bit integer in decimal, such as \"42\"; got ''."),
        ({"user_id": "ada"}, "input.userId must be a signed 64-bit integer in decimal, such as \"42\"; got 'ada'."),
        (
            {"user_id": "9223372036854775808"},
            "input.userId must lie between -9223372036854775808 and 9223372036854775807; got 9223372036854775808.",
        ),
        ({"username": ""}, "input.username must have 1 to 100 characters and not be blank; got 0."),
        ({"username": " \t\u3000"}, "input.username must have 1 to 100 characters and not be blank; got 0."),
        ({"username": "x" * 101}, "input.username must have 1 to 100 characters and not be blank; got 101."),
        ({"username": "A\0da"}, "input.username must not hold the character NUL (U+0000)."),
        ({"username": "A\ud83dda"}, "input.username must be valid Unicode; it holds half of a surrogate pair."),
        (
            {"score": SCORE_MAX + 1},
            "input.score must lie between -9007199254740991 and 9007199254740991; got 9007199254740992.",
        ),
        (
            {"score": -SCORE_MAX - 1},
            "input.score must lie between -9007199254740991 and 9007199254740991; got -9007199254740992.",
        ),
        ({"game_mode": ""}, "input.gameMode must have 1 to 50 characters and not be blank; got 0."),
        ({"game_mode": "  "}, "input.gameMode must have 1 to 50 characters and not be blank; got 2."),
        ({"game_mode": "m" * 51}, "input.gameMode must have 1 to 50 characters and not be blank; got 51."),
        ({"game_mode": "m\0"}, "input.gameMode must not hold the character NUL (U+0000)."),
        ({"game_mode": "\udfff"}, "input.gameMode must be valid Unicode; it holds half of a surrogate pair."),
        ({"duration_seconds": -1}, "input.durationSeconds must be 0 .. 2147483647; got -1."),
        ({"duration_seconds": 2**31}, "input.durationSeconds must be 0 .. 2147483647; got 2147483648."),
    ],
)
def test_bad_input_is_named_with_its_reason(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadUserInput) as raised:
        check(**fields)
    assert str(raised.value) == message
    assert raised.value.code is ErrorCode.BAD_USER_INPUT


@pytest.mark.parametrize("other", [uuid4(), uuid1(), UUID(int=0), UUID(int=2**128 - 1)])
def test_an_id_of_another_version_is_refused(other: UUID) -> None:
    with pytest.raises(BadUserInput, match=r"inputs\[7\]\.submissionId must be a version 7 UUID"):
        check(submission_id=str(other), where="inputs[7]")


def test_an_id_of_next_year_is_refused() -> None:
    next_year = datetime.now(UTC) + timedelta(days=365)
    with pytest.raises(BadUserInput, match="more than 5 minutes ahead of the service's clock") as raised:
        check(submission_id=id_of(next_year))
    assert next_year.strftime("%Y-%m-%dT%H:%M:%SZ") in str(raised.value)


def test_an_id_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(BadUserInput, match="carries the time beyond the year 9999"):
        check(submission_id=str(make_uuid7(2**48 - 1)))


def test_an_id_of_1970_is_refused() -> None:
    with pytest.raises(BadUserInput, match="carries the time 1970-01-01T00:00:00Z, more than 30 days ago"):
        check(submission_id=str(make_uuid7(0)))


@pytest.mark.parametrize(
    ("age", "good"),
    [
        (timedelta(days=30, seconds=-5), True),
        (timedelta(days=30, seconds=5), False),
        (timedelta(minutes=-5, seconds=5), True),
        (timedelta(minutes=-5, seconds=-5), False),
    ],
)
def test_the_window_of_ids_ends_where_it_says(age: timedelta, good: bool) -> None:
    submission_id = id_of(datetime.now(UTC) - age)
    if good:
        assert str(check(submission_id=submission_id).id) == submission_id
    else:
        with pytest.raises(BadUserInput, match="carries the time"):
            check(submission_id=submission_id)


def test_another_window_is_kept() -> None:
    window = IdWindow(back=timedelta(seconds=30), ahead=timedelta(0))
    with pytest.raises(BadUserInput, match="more than 0 minutes ago"):
        check(submission_id=id_of(datetime.now(UTC) - timedelta(minutes=1)), window=window)
