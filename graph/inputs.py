"""The input types of the contract."""

# Descriptions in the schema stand for docstrings.
# ruff: noqa: D101
from __future__ import annotations

import strawberry

from domain.submission import IdWindow, Submission, check_submission
from graph.scalars import Score, UuidText


@strawberry.input
class SubmitScoreInput:
    user_id: strawberry.ID = strawberry.field(description="A signed 64-bit integer in decimal.")
    username: str = strawberry.field(
        description="1..100 characters after trimming; the newest one given is the one shown."
    )
    score: Score
    game_mode: str | None = strawberry.field(description="1..50 characters.")
    duration_seconds: int | None = strawberry.field(description="0 or more.")
    submission_id: UuidText | None = strawberry.field(
        description=(
            "The idempotency key: a UUIDv7 made by the client for this session. The same id again, with the same "
            "content,\nanswers as the first time with `duplicate: true` and changes nothing; with other content it is "
            "refused as CONFLICT.\nWithout one, the service makes one, and a retry counts twice."
        )
    )

    signature: str | None = strawberry.field(
        description=(
            "Where the game signs its submissions: `t=<seconds since 1970>,k=<game>,v1=<HMAC-SHA256 in hex>`; README "
            "says over what."
        )
    )

    def checked(self, window: IdWindow, where: str) -> Submission:
        """The submission that this input describes.

        Args:
            window: how far from now the time of its id may lie.
            where: its path in the request, such as `inputs[3]`, for the messages.

        Raises:
            BadUserInput: naming the field, what it must be, and what it was.
        """
        return check_submission(
            user_id=self.user_id,
            username=self.username,
            score=self.score,
            game_mode=self.game_mode,
            duration_seconds=self.duration_seconds,
            submission_id=self.submission_id,
            window=window,
            where=where,
        )
