"""Record a score and say where its player stands now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from db.scores import Outcomes
from domain.errors import Conflict, ShardboardError, Unavailable
from domain.ids import instant_of
from domain.resilience.deadline import within
from domain.resilience.limits import RANK_S_MAX, RANK_SHARE
from domain.standing import GLOBAL_BOARD, Recorded, Session, Standing, percentile_of
from domain.submission import Submission
from ranking.projection import Place
from ranking.store import RanksUnavailable
from service.parts import Parts

# Without Redis, so many sessions of one request are told their rank.
SQL_RANKS_MAX = 10


async def submit_score(parts: Parts, submission: Submission) -> Recorded:
    """Record one session on its player's shard; durable when this returns.

    Raises:
        Conflict: its id was used before, with other content.
        BadUserInput: the total would leave its range.
        Unavailable: the shard does not answer; safe to send again with the same id.
    """
    if submission.id_given and await _is_anothers_id(parts, submission):
        raise _conflict(submission)
    outcomes = await parts.router.record(submission)
    if outcomes.outcome == "conflict":
        raise _conflict(submission)
    parts.players.note(submission.user_id)
    place: Place | None
    try:
        place = await parts.projection.apply(outcomes.row, submission.user_id, outcomes.total)
    except Unavailable:
        (place,) = await _sql_places(parts, [(submission, outcomes)])
    if outcomes.row is not None:
        parts.signals.changed(GLOBAL_BOARD)
    return _recorded(submission, outcomes, place)


async def submit_scores(parts: Parts, inputs: Sequence[Submission | ShardboardError]) -> list[Recorded | Exception]:
    """Record many sessions, each for itself: one answer or error an input, in order. An error given stays as it is.

    What nobody expected of one input is its error, too: it must not take back what is recorded of its neighbours.
    """
    answers: list[Recorded | Exception | None] = [
        each if isinstance(each, ShardboardError) else None for each in inputs
    ]
    waiting = [(index, each) for index, each in enumerate(inputs) if isinstance(each, Submission)]

    # Stage by stage for all of them, as a task for each would cost more than what it does.
    checked = await _check_ids(parts, [submission for _, submission in waiting])
    for (index, _), refusal in zip(waiting, checked, strict=True):
        answers[index] = refusal
    waiting = [(index, submission) for index, submission in waiting if answers[index] is None]
    recorded: list[tuple[int, Submission, Outcomes]] = []
    outcomes_or_errors = await parts.router.record_all([submission for _, submission in waiting])
    for (index, submission), outcomes in zip(waiting, outcomes_or_errors, strict=True):
        if isinstance(outcomes, Exception):
            answers[index] = outcomes
        elif outcomes.outcome == "conflict":
            answers[index] = _conflict(submission)
        else:
            parts.players.note(submission.user_id)
            recorded.append((index, submission, outcomes))
    places = await _find_places(parts, recorded)
    for (index, submission, outcomes), place in zip(recorded, places, strict=True):
        answers[index] = _recorded(submission, outcomes, place)
    return [answer for answer in answers if answer is not None]


async def _is_anothers_id(parts: Parts, submission: Submission) -> bool:
    """Whether the id belongs to a session of another player; the player's own shard alone could not tell."""
    try:
        if not await parts.seen_ids.maybe_seen(submission.id):
            return False
    except RanksUnavailable:
        # Without the filter every id may have been used; the shards know.
        pass
    return await parts.router.is_anothers(submission)


def _conflict(submission: Submission) -> Conflict:
    return Conflict(
        f"submissionId {submission.id} was used before with other content; "
        "a retry must repeat the session exactly, another session needs an id of its own."
    )


async def _check_ids(parts: Parts, submissions: Sequence[Submission]) -> list[Exception | None]:
    """Why each submission is refused for its id, which may belong to another player by a session or by an earlier
    submission of the list."""
    given = [index for index, submission in enumerate(submissions) if submission.id_given]
    try:
        seen = await parts.seen_ids.maybe_seen_all([submissions[index].id for index in given])
    except Unavailable:
        seen = [True] * len(given)
    suspects = [index for index, known in zip(given, seen, strict=True) if known]
    asked = await asyncio.gather(
        *(parts.router.is_anothers(submissions[index]) for index in suspects), return_exceptions=True
    )
    found = dict(zip(suspects, asked, strict=True))
    holders: dict[UUID, int] = {}
    refusals: list[Exception | None] = []
    for index, submission in enumerate(submissions):
        is_anothers = found.get(index, False)
        if isinstance(is_anothers, BaseException):
            if not isinstance(is_anothers, Exception):
                raise is_anothers
            refusals.append(is_anothers)
        elif is_anothers or holders.setdefault(submission.id, submission.user_id) != submission.user_id:
            refusals.append(_conflict(submission))
        else:
            refusals.append(None)
    return refusals


async def _find_places(parts: Parts, recorded: Sequence[tuple[int, Submission, Outcomes]]) -> Sequence[Place | None]:
    """Tell the ranks of the new rows, and read where each session's total stands."""
    if not recorded:
        return []
    try:
        places: Sequence[Place | None] = await parts.projection.apply_each(
            [(outcomes.row, submission.user_id, outcomes.total) for _, submission, outcomes in recorded]
        )
    except Unavailable:
        places = await _sql_places(parts, [(submission, outcomes) for _, submission, outcomes in recorded])
    parts.signals.changed(GLOBAL_BOARD)
    return places


async def _sql_places(parts: Parts, recorded: Sequence[tuple[Submission, Outcomes]]) -> list[Place | None]:
    """Ranks counted by the shards, as far as that costs the next submission nothing and is done in time.

    Redis is away, or cannot keep up. The relay mends the ranks; the sessions are recorded, which is what was asked for,
    and so an answer without a rank is better than none.
    """
    places: list[Place | None] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(within(RANK_S_MAX) * RANK_SHARE):
            for submission, outcomes in recorded[:SQL_RANKS_MAX]:
                places.append(await _sql_place(parts, submission, outcomes))
    return places + [None] * (len(recorded) - len(places))


async def _sql_place(parts: Parts, submission: Submission, outcomes: Outcomes) -> Place | None:
    if parts.sql_ranks.busy:
        return None
    try:
        return await parts.sql_ranks.place(submission.user_id, outcomes.total)
    except Unavailable:
        return None


def _recorded(submission: Submission, outcomes: Outcomes, place: Place | None) -> Recorded:
    session = Session(
        submission.id,
        submission.user_id,
        submission.score,
        submission.game_mode,
        submission.duration_seconds,
        instant_of(submission.id),
    )
    standing = Standing(
        submission.user_id,
        submission.username,
        outcomes.total,
        outcomes.games,
        outcomes.last_played,
        None if place is None else place.rank,
        None if place is None else percentile_of(place.rank, place.player_count),
    )
    return Recorded(session, standing, outcomes.outcome == "duplicate")
