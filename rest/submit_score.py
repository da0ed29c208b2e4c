"""POST /api/scores: record one played session."""

from __future__ import annotations

from typing import Any

import msgspec

from domain.errors import BadUserInput
from domain.ids import parse_uuid
from domain.standing import Recorded
from domain.submission import SCORE_MAX, InputNames, Submission
from domain.submission import check_submission as check_fields
from rest.answer import Answer
from rest.models import ScoreInput, ScoreRecorded
from rest.request import Head, Request, read_parameters
from service.admit import admit_submissions, check_submission
from service.parts import Parts
from service.submit import submit_score
from wire.deadlines import Deadlines
from wire.json_text import MalformedJsonError, read_json
from wire.request import BODY_BYTES_MAX, receive_json

KEY_HEADER = "Idempotency-Key"

_IN_BODY = InputNames("user_id", "username", "score", "game_mode", "duration_seconds", "submission_id", "signature")
_IN_HEADER = _IN_BODY._replace(submission_id=KEY_HEADER)
_TOO_LONG = f"The body may have {BODY_BYTES_MAX} bytes."
_INTEGERS = {"user_id", "score", "duration_seconds"}


class SubmitScore:
    """Records what is posted."""

    def __init__(self, parts: Parts, deadlines: Deadlines) -> None:
        self._parts = parts
        self._deadlines = deadlines

    async def __call__(self, request: Request) -> Answer:
        """The answer to one request; durable before it is given.

        Raises:
            ShardboardError, RefusedRequestError: nothing was recorded, or, for `Unavailable`, it is not known.
        """
        parts = self._parts
        read_parameters(request.query_string, ())
        body = await receive_json(
            request.head.content_type,
            request.head.length,
            request.receive,
            bytes_max=BODY_BYTES_MAX,
            too_long=_TOO_LONG,
        )
        given = _read_input(body)
        request.tell(await admit_submissions(parts.access, request.caller, 1))
        submission, names = self._check(given, request.head)
        check_submission(parts.access, request.caller, submission, given.signature, "", names)
        recorded = await self._deadlines.within(submit_score(parts, submission))
        return Answer(_written(recorded))

    def _check(self, given: ScoreInput, head: Head) -> tuple[Submission, InputNames]:
        """The submission, and what its parts are called where the client gave them."""
        key = _read_key(head)
        names = _IN_BODY if key is None or given.submission_id is not None else _IN_HEADER
        submission = check_fields(
            user_id=str(given.user_id),
            username=given.username,
            score=given.score,
            game_mode=given.game_mode,
            duration_seconds=given.duration_seconds,
            submission_id=key if given.submission_id is None else given.submission_id,
            window=self._parts.id_window,
            where="",
            names=names,
        )
        if key is not None and parse_uuid(key, KEY_HEADER) != submission.id:
            raise BadUserInput(
                f"The header {KEY_HEADER} and submission_id name different sessions; send one of them, or the same."
            )
        return submission, names


def _read_input(body: bytes) -> ScoreInput:
    try:
        fields = read_json(body)
        if type(fields) is dict:
            for name in _INTEGERS & fields.keys():
                fields[name] = _as_integer(fields[name])
        return msgspec.convert(fields, ScoreInput)
    except MalformedJsonError as error:
        raise BadUserInput(f"The body cannot be read: {error}.") from None
    except msgspec.ValidationError as error:
        raise BadUserInput(
            f"The body does not fit: {error}. It is one JSON object with user_id, username and score, and may have "
            "game_mode, duration_seconds, submission_id and signature."
        ) from None


def _as_integer(value: Any) -> Any:
    """`1.0` as the integer that it is; beyond what a double holds exactly it may have been another one."""
    return int(value) if type(value) is float and value.is_integer() and abs(value) <= SCORE_MAX else value


def _read_key(head: Head) -> str | None:
    """The idempotency key in the head; in quotes, as the IETF's draft has it, or bare, as most clients send it."""
    if head.twice == KEY_HEADER:
        raise BadUserInput(f"The header {KEY_HEADER} is there twice; send it once.")
    if head.idempotency_key is None:
        return None
    text = head.idempotency_key.decode("latin-1").strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _written(recorded: Recorded) -> bytes:
    standing = recorded.standing
    message = "This session was recorded before; nothing changed." if recorded.duplicate else "The score is recorded."
    if standing.rank is None:
        message += " The rank is not known right now."
    return msgspec.json.encode(
        ScoreRecorded(
            success=True,
            user_id=standing.user_id,
            new_total_score=standing.total_score,
            rank=standing.rank,
            message=message,
            submission_id=recorded.session.id,
            duplicate=recorded.duplicate,
        )
    )
