"""A score on its way in: what a client may send, checked before it costs a database anything."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

from domain.errors import BadUserInput
from domain.ids import instant_of, make_uuid7, parse_user_id, parse_uuid, uuid7_unix_ms

SCORE_MAX = 2**53 - 1
USERNAME_LENGTH_MAX = 100
GAME_MODE_LENGTH_MAX = 50
DURATION_SECONDS_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class IdWindow:
    """How far from now the time of a submission id may lie."""

    back: timedelta = timedelta(days=30)
    ahead: timedelta = timedelta(minutes=5)


class InputNames(NamedTuple):
    """What a client calls the parts of a submission, for the messages: as GraphQL does where nothing else is said."""

    user_id: str = "userId"
    username: str = "username"
    score: str = "score"
    game_mode: str = "gameMode"
    duration_seconds: str = "durationSeconds"
    submission_id: str = "submissionId"
    signature: str = "signature"

    def within(self, where: str) -> str:
        """What comes before each name in messages about the input at the path `where`, which may be empty."""
        return f"{where}." if where else ""


GRAPH_NAMES = InputNames()


class Submission(Struct, frozen=True, gc=False):
    """One checked session on its way to its shard.

    `id` is the idempotency key, `id_given` whether the client made it; `recorded_us` is the microsecond (since 1970) at
    which the service took the submission: it tells a client's retry from the service's own.
    """

    id: UUID
    user_id: int
    username: str
    score: int
    game_mode: str | None
    duration_seconds: int | None
    recorded_us: int
    id_given: bool = False


def check_submission(
    *,
    user_id: str,
    username: str,
    score: int,
    game_mode: str | None,
    duration_seconds: int | None,
    submission_id: str | None,
    window: IdWindow,
    where: str = "input",
    names: InputNames = GRAPH_NAMES,
) -> Submission:
    """A `Submission` of what a client sent; makes its id where the client gave none.

    Args:
        where: the path of the input in the request, such as `inputs[3]`, for the messages.
        names: what its fields are called there.

    Raises:
        BadUserInput: naming the field, what it must be, and what it was.
    """
    at = names.within(where)
    now_us = time.time_ns() // 1000
    checked_user_id = parse_user_id(user_id, f"{at}{names.user_id}")
    checked_username = check_text(username.strip(), USERNAME_LENGTH_MAX, f"{at}{names.username}")
    check_score(score, f"{at}{names.score}")
    if game_mode is not None:
        game_mode = check_text(game_mode, GAME_MODE_LENGTH_MAX, f"{at}{names.game_mode}")
    if duration_seconds is not None and not 0 <= duration_seconds <= DURATION_SECONDS_MAX:
        raise BadUserInput(f"{at}{names.duration_seconds} must be 0 .. {DURATION_SECONDS_MAX}; got {duration_seconds}.")
    if submission_id is None:
        checked_id = make_uuid7(now_us // 1000)
    else:
        checked_id = _check_submission_id(submission_id, now_us // 1000, window, f"{at}{names.submission_id}")
    return Submission(
        checked_id,
        checked_user_id,
        checked_username,
        score,
        game_mode,
        duration_seconds,
        now_us,
        id_given=submission_id is not None,
    )


def check_score(score: int, where: str) -> None:
    """Refuse a score that a double cannot hold exactly.

    Raises:
        BadUserInput: it lies beyond ±(2^53 − 1).
    """
    if not -SCORE_MAX <= score <= SCORE_MAX:
        raise BadUserInput(f"{where} must lie between -{SCORE_MAX} and {SCORE_MAX}; got {score}.")


def check_text(text: str, length_max: int, where: str) -> str:
    """The text, if it has 1 to `length_max` characters, is not blank, and a database can hold it.

    Raises:
        BadUserInput: it is another.
    """
    if not 1 <= len(text) <= length_max or text.isspace():
        raise BadUserInput(f"{where} must have 1 to {length_max} characters and not be blank; got {len(text)}.")
    if "\0" in text:
        raise BadUserInput(f"{where} must not hold the character NUL (U+0000).")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadUserInput(f"{where} must be valid Unicode; it holds half of a surrogate pair.")
    return text


def _check_submission_id(text: str, now_ms: int, window: IdWindow, where: str) -> UUID:
    value = parse_uuid(text, where)
    if value.version != 7:
        raise BadUserInput(
            f"{where} must be a version 7 UUID (RFC 9562), which carries the time of the session; "
            f"got version {value.version}: {value}."
        )
    id_ms = uuid7_unix_ms(value)
    if id_ms < now_ms - window.back // timedelta(milliseconds=1):
        raise BadUserInput(
            f"{where} carries the time {_shown_instant(value)}, more than {_shown_span(window.back)} ago; "
            "older sessions come in through `shardboard import`."
        )
    if id_ms > now_ms + window.ahead // timedelta(milliseconds=1):
        raise BadUserInput(
            f"{where} carries the time {_shown_instant(value)}, more than {_shown_span(window.ahead)} ahead of the "
            "service's clock; check the clock of the machine that made it."
        )
    return value


def _shown_instant(value: UUID) -> str:
    try:
        return instant_of(value).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return "beyond the year 9999"


def _shown_span(span: timedelta) -> str:
    return f"{span.days} days" if span.days else f"{span.seconds // 60} minutes"
