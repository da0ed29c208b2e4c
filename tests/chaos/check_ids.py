"""A submission id means one session for ever: the same answer to whoever sends it again, CONFLICT to other content."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.check_failures import is_excused
from tests.chaos.history import CONFLICT, FOUND_OUT_S, Failure, History, Misuse, Violation

# A process that reaches Redis again tells it within so long which ids it lacks.
_TOLD_S = 2.0


def check_ids(history: History) -> list[Violation]:
    """Every submission that was answered in two ways, and every id that two sessions could be sent with."""
    return [*_check_repeats(history), *_check_misuses(history)]


def was_let_through(history: History, misuse: Misuse) -> bool:
    """Whether it may have been recorded for another player, of another shard.

    The first player's shard alone knows of the id for certain, and other shards' players do not wait for it when it is
    away (see `Router.is_anothers`). Whether it has to be asked at all Redis tells, and while only some processes reach
    that, it lacks what the others had to record without it (see `SeenIds`).
    """
    attempt = misuse.attempt
    original = history.submissions[misuse.id]
    away = history.outages_in(attempt.began_at - FOUND_OUT_S, attempt.ended_at, "postgres", "pgbouncer")
    owners = history.owners_in(original.user_id, attempt.began_at, attempt.ended_at)
    if misuse.user_id == original.user_id:
        return False
    if {outage.name for outage in away} & owners:
        return True
    return bool(history.outages_in(attempt.began_at - _TOLD_S, attempt.ended_at, "valkey"))


def _check_repeats(history: History) -> Iterator[Violation]:
    for submission in history.submissions.values():
        told = {(each.answer.total, each.answer.games) for each in submission.attempts if each.answer}
        if len(told) > 1:
            what = f"submission {submission.id} was answered with the totals and games {sorted(told)}"
            yield Violation("same id, same answer", what, submission.user_id)


def _check_misuses(history: History) -> Iterator[Violation]:
    for misuse in history.misuses:
        attempt, outcome = misuse.attempt, misuse.attempt.outcome
        if outcome is None or was_let_through(history, misuse):
            continue
        if isinstance(outcome, Failure) and (
            outcome.code == CONFLICT
            or is_excused(history, outcome, attempt.api, attempt.began_at, attempt.ended_at, misuse.user_id)
        ):
            continue
        what = (
            f"id {misuse.id} of player {history.submissions[misuse.id].user_id} sent for player {misuse.user_id} with "
            f"score {misuse.score} to {attempt.api} [{attempt.began_at:.3f}, {attempt.ended_at:.3f}]: {outcome}"
        )
        yield Violation("conflict", what, misuse.user_id)
