"""What goes in and out as JSON: the structs that are read and written, and that the OpenAPI document describes.

Constraints stand here for the document; they are judged by `domain.submission`, whose messages say what to do.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from domain.ids import USER_ID_MAX, USER_ID_MIN
from domain.signature import SIGNATURE_PATTERN
from domain.submission import DURATION_SECONDS_MAX, GAME_MODE_LENGTH_MAX, SCORE_MAX, USERNAME_LENGTH_MAX

_USER_ID_OUT = (
    "A signed 64-bit integer as a JSON number. Beyond ±9007199254740991 a reader that keeps numbers as doubles, as "
    "JavaScript does, must read it as a big integer."
)
USER_ID_RANGE = {"format": "int64", "minimum": USER_ID_MIN, "maximum": USER_ID_MAX}
_SCORE_RANGE = {"format": "int64", "minimum": -SCORE_MAX, "maximum": SCORE_MAX}
_INSTANT = {"format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"}
_UUID7 = "019aa0e2-7c00-7000-8000-00000000002a"


def _text(length_max: int) -> dict[str, Any]:
    """Not blank, without NUL."""
    return {"minLength": 1, "maxLength": length_max, "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}


UserId = Annotated[int, Meta(description=_USER_ID_OUT, examples=[42], extra_json_schema=USER_ID_RANGE)]
Score = Annotated[int, Meta(extra_json_schema=_SCORE_RANGE)]
Count = Annotated[int, Meta(extra_json_schema={"minimum": 0})]
Rank = Annotated[
    int | None,
    Meta(
        description="Standard competition rank (1224) over all players. Null only while ranks are unavailable.",
        examples=[3],
    ),
]
Instant = Annotated[str, Meta(examples=["2026-11-23T10:15:00.123456Z"], extra_json_schema=_INSTANT)]


class ScoreInput(Struct, forbid_unknown_fields=True):
    """One played session."""

    user_id: Annotated[
        Annotated[int, Meta(extra_json_schema=USER_ID_RANGE)]
        | Annotated[str, Meta(extra_json_schema={"pattern": "^-?[0-9]{1,18}$"})],
        Meta(
            description="A signed 64-bit integer as a JSON number, or in decimal as a string for clients that keep "
            "numbers as doubles.",
            examples=[42, "42"],
        ),
    ]
    username: Annotated[
        str,
        Meta(
            description=f"1..{USERNAME_LENGTH_MAX} characters after trimming; the newest one given is the one shown.",
            examples=["Ada"],
            extra_json_schema=_text(USERNAME_LENGTH_MAX),
        ),
    ]
    score: Annotated[
        int, Meta(description="Added to the player's total.", examples=[1200], extra_json_schema=_SCORE_RANGE)
    ]
    game_mode: Annotated[
        Annotated[str, Meta(extra_json_schema=_text(GAME_MODE_LENGTH_MAX))] | None,
        Meta(description=f"1..{GAME_MODE_LENGTH_MAX} characters.", examples=["duo"]),
    ] = None
    duration_seconds: Annotated[
        Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": DURATION_SECONDS_MAX})] | None,
        Meta(description="How long it was played.", examples=[300]),
    ] = None
    submission_id: Annotated[
        Annotated[str, Meta(extra_json_schema={"format": "uuid"})] | None,
        Meta(
            description="The idempotency key: a UUIDv7 made by the client for this session. The same id again, with "
            "the same content, answers as the first time with `duplicate: true` and changes nothing; with other "
            "content it is refused as CONFLICT. The header `Idempotency-Key` is another place for it. Without either "
            "the service makes one, and a retry counts twice.",
        ),
    ] = None
    signature: Annotated[
        Annotated[str, Meta(extra_json_schema={"pattern": SIGNATURE_PATTERN})] | None,
        Meta(
            description="Where the game signs its submissions: `t=<seconds since 1970>,k=<game>,v1=<HMAC-SHA256 in "
            "hex>`, over the same lines as over GraphQL; the README names them. It needs a submission id, which is "
            "signed, too."
        ),
    ] = None


class ScoreRecorded(Struct):
    """The session is recorded, durably."""

    success: Annotated[bool, Meta(description="Always true: what was not recorded is answered with a problem.")]
    user_id: UserId
    new_total_score: Annotated[Score, Meta(description="The player's total after this session.", examples=[1250])]
    rank: Rank
    message: Annotated[str, Meta(description="What happened, in words.", examples=["The score is recorded."])]
    submission_id: Annotated[UUID, Meta(description="The id of the session.", examples=[_UUID7])]
    duplicate: Annotated[bool, Meta(description="Whether it was recorded by an earlier request.")]


class LeaderboardEntry(Struct):
    """A player's place at the top."""

    rank: Rank
    user_id: UserId
    username: str
    total_score: Score
    games_played: Count


class Leaderboard(Struct):
    """The best players, best first; of equal totals the smaller user id first."""

    leaderboard: list[LeaderboardEntry]
    cached: Annotated[bool, Meta(description="Whether the answer was kept from an earlier request.")]
    timestamp: Annotated[Instant, Meta(description="The instant at which this answer was true.")]


class PlayerRank(Struct):
    """Where a player stands."""

    user_id: UserId
    username: str
    total_score: Score
    rank: Rank
    games_played: Count
    percentile: Annotated[
        float | None,
        Meta(
            description="Share of the players, 0..100, whose total is not better; the leader has 100. "
            "Null only while ranks are unavailable.",
            examples=[97.5],
        ),
    ]


class PlayedSession(Struct):
    """One session as it was recorded."""

    id: Annotated[UUID, Meta(description="The submission id; as `after` it is a place in the history.")]
    score: Score
    game_mode: str | None
    timestamp: Annotated[Instant, Meta(description="When it was played: the time that its id carries.")]
    duration_seconds: int | None


class History(Struct):
    """A player's sessions, newest first."""

    user_id: UserId
    sessions: list[PlayedSession]
    total_sessions: Annotated[Count, Meta(description="The player's sessions in all.")]


class Problem(Struct, omit_defaults=True):
    """What went wrong (RFC 9457)."""

    type: Annotated[str, Meta(description="`about:blank`: `code` tells problems apart.", examples=["about:blank"])]
    title: Annotated[str, Meta(description="What the status means.", examples=["Bad Request"])]
    status: Annotated[int, Meta(description="The HTTP status.", examples=[400])]
    detail: Annotated[
        str,
        Meta(
            description="What was wrong and what to do.",
            examples=["limit must be an integer from 1 to 100; got '101'."],
        ),
    ]
    code: Annotated[
        str,
        Meta(description="The code of the service's contract.", examples=["BAD_USER_INPUT"]),
    ]
    retry_after: Annotated[
        int | None, Meta(description="After how many seconds another try is worth it, where anybody can tell.")
    ] = None
    id: Annotated[
        str | None, Meta(description="The id of the request, as in the header `X-Request-Id` and in the log.")
    ] = None
