"""Domain objects in memory for the resolvers to return, so that two ways of executing one operation can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from domain.access import Caller, Scope
from domain.errors import BadUserInput, Conflict, OperatorError, ShardboardError, Unavailable
from domain.signature import Signing
from domain.standing import Player, Recorded, Session, SessionPage, Standing, StandingPage
from domain.submission import IdWindow, Submission
from graph.context import Context
from service.parts import Parts

EPOCH = datetime(2026, 11, 23, 10, 15, 0, tzinfo=UTC)
SESSION_ID = UUID("019aa0e2-7c00-7000-8000-000000000001")
WITHOUT_STANDING = 404
AWAY = 503
BROKEN = 500
OPERATORS = 501
WITHOUT_NAME = 600
TOO_MANY_GAMES = 601
UNRANKED = 602


def standing(user_id: int) -> Standing:
    """The standing of a player; some players have one that no type of the schema can hold."""
    return Standing(
        user_id=user_id,
        username=cast(str, None) if user_id == WITHOUT_NAME else f"Ada “{user_id}” 🎮",
        total_score=-(2**53 - 1) if user_id < 0 else user_id * 1000,
        games_played=2**31 if user_id == TOO_MANY_GAMES else user_id % 7,
        last_played=EPOCH + timedelta(milliseconds=user_id % 3),
        rank=None if user_id == UNRANKED else user_id + 1,
        percentile=None if user_id == UNRANKED else 100 / (abs(user_id) + 1),
    )


def session(user_id: int, number: int) -> Session:
    """One of a player's sessions."""
    return Session(
        id=UUID(int=SESSION_ID.int + number),
        user_id=user_id,
        score=number - 3,
        game_mode=None if number % 2 else "ranked",
        duration_seconds=None if number % 3 else number,
        played_at=EPOCH + timedelta(milliseconds=number),
    )


async def read_top(_parts: Parts, board: str, first: int, after: str | None) -> StandingPage:
    if first < 1:
        raise BadUserInput(f"first must lie between 1 and 100; got {first}.")
    players = list(range(first)) if board == "global" else [1, int(board)]
    return StandingPage([standing(each) for each in players], 0 if after is None else 3, 1000, first < 5, EPOCH)


async def read_standing(_parts: Parts, _board: str, user_id: int) -> Standing | None:
    if user_id == AWAY:
        raise Unavailable("Shard shard2 does not answer.")
    if user_id == BROKEN:
        raise RuntimeError("secret")
    if user_id == OPERATORS:
        raise OperatorError("secret")
    return None if user_id == WITHOUT_STANDING else standing(user_id)


async def read_standings(parts: Parts, board: str, user_ids: Sequence[int]) -> list[Standing | None]:
    return [await read_standing(parts, board, each) for each in user_ids]


async def read_around(parts: Parts, board: str, user_id: int, radius: int) -> list[Standing] | None:
    if await read_standing(parts, board, user_id) is None:
        return None
    return [standing(each) for each in range(user_id - radius, user_id + radius + 1)]


async def read_history(parts: Parts, user_id: int, first: int, after: str | None, game_mode: str | None) -> SessionPage:
    await read_standing(parts, "global", user_id)
    sessions = tuple(session(user_id, number) for number in range(first))
    return SessionPage(sessions, first * 2, after is not None, game_mode is None)


async def submit_score(_parts: Parts, submission: Submission) -> Recorded:
    if submission.score == AWAY:
        raise Unavailable("Shard shard2 does not answer.")
    if submission.score == BROKEN:
        raise RuntimeError("secret")
    if submission.score == 409:
        raise Conflict("submissionId was used before.")
    made = session(submission.user_id, 1)
    recorded = Session(
        made.id, submission.user_id, submission.score, submission.game_mode, submission.duration_seconds, EPOCH
    )
    return Recorded(recorded, standing(submission.user_id), submission.username == "twice")


async def submit_scores(parts: Parts, inputs: Sequence[Submission | ShardboardError]) -> list[Recorded | Exception]:
    answers: list[Recorded | Exception] = []
    for each in inputs:
        try:
            answers.append(await submit_score(parts, each) if isinstance(each, Submission) else each)
        except Exception as error:
            answers.append(error)
    return answers


async def load_players(_parts: Parts, user_ids: Sequence[int]) -> list[Player | Unavailable | None]:
    return [
        None if each % 3 == 0 else Unavailable("Shard shard2 does not answer.") if each % 3 == 1 else _player(each)
        for each in user_ids
    ]


async def load_recent_sessions(_parts: Parts, user_ids: Sequence[int], count: int) -> list[list[Session] | Unavailable]:
    return [[session(each, number) for number in range(count)] for each in user_ids]


def _player(user_id: int) -> Player:
    return Player(user_id, "Ada", EPOCH)


def inhabit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the resolvers read from this module."""
    for module, names in {
        "graph.queries": ("read_top", "read_standing", "read_standings", "read_around", "read_history"),
        "graph.mutations": ("submit_score", "submit_scores"),
        "graph.loaders": ("load_players", "load_recent_sessions"),
    }.items():
        for name in names:
            monkeypatch.setattr(f"{module}.{name}", globals()[name])


def context() -> Context:
    """The context of one request; the use cases above need no more of the parts than their limits."""
    access = SimpleNamespace(signing=Signing({}))
    parts: Any = SimpleNamespace(id_window=IdWindow(timedelta(days=36_500), timedelta(days=36_500)), access=access)
    return Context(parts, Caller("key", "key:test", frozenset(Scope)))
