"""A row of a file as a submission: checked, and with an id that the same row of the same file always gets. Pure."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from uuid import UUID

import orjson

from domain.errors import BadUserInput
from domain.ids import instant_of, make_uuid7, parse_user_id, parse_uuid
from domain.submission import (
    DURATION_SECONDS_MAX,
    GAME_MODE_LENGTH_MAX,
    USERNAME_LENGTH_MAX,
    IdWindow,
    Submission,
    check_score,
    check_text,
)
from service.session_files import BadRow, Fields, RawRow, parse_instant, parse_integer, parse_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A checked row; `submission.id_given` tells whether the file has the id or it was derived."""

    line: int
    submission: Submission
    played_at: datetime
    shown_username: str | None


class RowChecker:
    """Checks the rows of one file, in their order."""

    def __init__(self, window: IdWindow) -> None:
        self._ahead = window.ahead
        self._recorded_us = 0
        # How often each content was there. About 100 bytes a row that has no id of its own.
        self._occurrences: dict[bytes, int] = {}

    def check(self, row: RawRow) -> ImportRow | BadRow:
        """The row as a submission, or what is wrong with it."""
        try:
            return self._check(row)
        except BadUserInput as error:
            return BadRow(row.line, str(error).rstrip("."))

    def _check(self, row: RawRow) -> ImportRow:
        fields = row.fields
        for name in ("user_id", "username", "score"):
            if name not in fields:
                raise BadUserInput(f"{name} is missing")
        user_id = parse_user_id(str(parse_integer(fields["user_id"], "user_id")), "user_id")
        username = _name(fields["username"], "username")
        score = parse_integer(fields["score"], "score")
        check_score(score, "score")
        game_mode = duration = None
        if "game_mode" in fields:
            game_mode = check_text(parse_text(fields["game_mode"], "game_mode"), GAME_MODE_LENGTH_MAX, "game_mode")
        if "duration_seconds" in fields:
            duration = parse_integer(fields["duration_seconds"], "duration_seconds")
            if not 0 <= duration <= DURATION_SECONDS_MAX:
                raise BadUserInput(f"duration_seconds must be 0 .. {DURATION_SECONDS_MAX}; got {duration}")
        shown = _name(fields["shown_username"], "shown_username") if "shown_username" in fields else None
        id_given = "submission_id" in fields
        if id_given:
            id_ = _check_id(fields["submission_id"])
        else:
            id_ = self._derive_id(fields, (user_id, score, game_mode, duration))
        played_at = instant_of(id_)
        if played_at > datetime.now(UTC) + self._ahead:
            raise BadUserInput(f"it was played at {played_at:%Y-%m-%dT%H:%M:%SZ}, which is yet to come")
        # Two rows never have the same instant: one instant twice means the service's own second try.
        self._recorded_us = max(self._recorded_us + 1, time.time_ns() // 1000)
        submission = Submission(
            id_, user_id, username, score, game_mode, duration, self._recorded_us, id_given=id_given
        )
        return ImportRow(row.line, submission, played_at, shown)

    def _derive_id(self, fields: Fields, content: tuple[int, int, str | None, int | None]) -> UUID:
        """A UUIDv7 of the row's content and of how many equal rows stand before it.

        The name is no part of it: in a newer export of the same sessions a player may have another.
        """
        if "played_at" not in fields:
            raise BadUserInput("neither played_at nor submission_id is there; one of them is needed")
        played_at = parse_instant(fields["played_at"], "played_at")
        played_us = (played_at - _EPOCH) // datetime.resolution
        if played_us < 0:
            raise BadUserInput(f"played_at must not be before 1970; got {played_at:%Y-%m-%d}")
        digest = blake2b(orjson.dumps((*content, played_us)), digest_size=16).digest()
        nth = self._occurrences.get(digest, 0)
        self._occurrences[digest] = nth + 1
        bits = int.from_bytes(blake2b(digest + nth.to_bytes(8, "big"), digest_size=10).digest(), "big") >> 6
        return make_uuid7(played_us // 1000, bits)


def _name(value: object, where: str) -> str:
    return check_text(parse_text(value, where).strip(), USERNAME_LENGTH_MAX, where)


def _check_id(value: object) -> UUID:
    id_ = parse_uuid(parse_text(value, "submission_id").strip(), "submission_id")
    if id_.version != 7:
        raise BadUserInput(
            f"submission_id must be a version 7 UUID, which carries the time of the session; got version {id_.version}"
        )
    try:
        instant_of(id_)
    except OverflowError:
        raise BadUserInput("submission_id carries a time beyond the year 9999") from None
    return id_
