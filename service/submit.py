"""Record a score and say where its player stands now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from db.scores import Outcomes
from domain.errors import Conflict, ShardboardError, Unavailable
from domain.ids import instant_of
from domain.standing import GLOBAL_BOARD, Recorded, Session, Standing, percentile_of
from domain.submission import Submission
from ranking.store import RanksUnavailable
from service.parts import Parts

logger = logging.getLogger(__name__)


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
    standing = await _rank(parts, submission, outcomes)
    session = Session(
        submission.id,
        submission.user_id,
        submission.score,
        submission.game_mode,
        submission.duration_seconds,
        instant_of(submission.id),
    )
    return Recorded(session, standing, outcomes.outcome == "duplicate")


async def submit_scores(
    parts: Parts, inputs: Sequence[Submission | ShardboardError]
) -> list[Recorded | ShardboardError]:
    """Record many sessions, each for itself: one answer or error an input, in order. An error given stays as it is."""
    results = await asyncio.gather(
        *(submit_score(parts, each) for each in inputs if isinstance(each, Submission)), return_exceptions=True
    )
    answers: list[Recorded | ShardboardError] = []
    recorded = iter(results)
    for each in inputs:
        answer = next(recorded) if isinstance(each, Submission) else each
        if isinstance(answer, BaseException) and not isinstance(answer, ShardboardError):
            # What nobody expected of one input must not take back what is recorded of its neighbours.
            logger.error("submission %s failed", len(answers), exc_info=answer)
            answer = ShardboardError("Internal server error.")
        answers.append(answer)
    return answers


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


async def _rank(parts: Parts, submission: Submission, outcomes: Outcomes) -> Standing:
    """Tell the ranks of the new row, and read where the total of this session stands."""
    rank = percentile = None
    try:
        place = await parts.projection.apply(outcomes.row, submission.user_id, outcomes.total)
        rank, percentile = place.rank, percentile_of(place.rank, place.player_count)
    except Unavailable:
        # Redis is away, or cannot keep up. The relay mends the ranks; the session is recorded, and that is what was
        # asked for.
        rank, percentile = await _sql_rank(parts, submission.user_id, outcomes.total)
    if outcomes.row is not None:
        parts.signals.changed(GLOBAL_BOARD)
    return Standing(
        submission.user_id,
        submission.username,
        outcomes.total,
        outcomes.games,
        outcomes.last_played,
        rank,
        percentile,
    )


async def _sql_rank(parts: Parts, user_id: int, total: int) -> tuple[int | None, float | None]:
    """A rank counted by the shards, as far as that costs the next submission nothing."""
    if parts.sql_ranks.busy:
        return None, None
    try:
        place = await parts.sql_ranks.place(user_id, total)
    except Unavailable:
        return None, None
    return (None, None) if place is None else (place.rank, percentile_of(place.rank, place.player_count))
