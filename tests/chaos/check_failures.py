"""Promises 4 and 5: who may be refused, and for how long. Moving buckets refuses nobody.

An error is excused by a part that was away and that the request needs: writes and histories by the player's shard,
standings by Redis and any shard together, a broken connection by its API process. A mover excuses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.history import (
    BAD_USER_INPUT,
    BROKEN,
    FOUND_OUT_S,
    TIMEOUT,
    UNAVAILABLE,
    Attempt,
    FailedRead,
    Failure,
    History,
    HistoryRead,
    Read,
    Violation,
)

# How long a request may take: the service's own deadline, and what the answer needs to get through two busy cores.
DEADLINE_S, DEADLINE_GRACE_S = 5.0, 1.0
# What is said to who is shed: on a machine that does other work, too, few may be, whatever is away.
_SHED = "than it can"
_SHED_SHARE_MAX = 0.1


def check_failures(history: History) -> list[Violation]:
    """Every error that no part's absence excuses, and every submission that was never acknowledged."""
    return [
        *_check_attempts(history),
        *_check_reads(history),
        *_check_unanswered(history),
        *_check_shed(history),
    ]


def check_deadlines(history: History) -> list[Violation]:
    """Every request that was answered after its deadline, or never, by a process that was not stopped itself."""
    asked: list[tuple[str, Attempt | Read | HistoryRead | FailedRead, int | None]] = [
        *(("submission", each, submission.user_id) for submission, each in history.attempts()),
        *((read.what, read, None) for read in history.reads if read.what != "watch"),
        *(("history", read, read.user_id) for read in history.history_reads),
        *((read.what, read, read.user_id) for read in history.failed_reads if read.what != "watch"),
    ]
    return [
        Violation("deadline", f"{what} at {each.api} took {each.ended_at - each.began_at:.1f} s: {each}", user_id)
        for what, each, user_id in asked
        if each.ended_at - each.began_at > DEADLINE_S + DEADLINE_GRACE_S
        and not _was_api_away(history, each.api, each.began_at, each.ended_at)
    ]


def _check_attempts(history: History) -> Iterator[Violation]:
    for submission, attempt in history.attempts():
        failure = attempt.outcome
        if isinstance(failure, Failure) and not is_excused(
            history, failure, attempt.api, attempt.began_at, attempt.ended_at, submission.user_id
        ):
            what = f"submission {submission.id} at {attempt.api} [{attempt.began_at:.3f}, {attempt.ended_at:.3f}]"
            yield Violation("no needless failure", f"{what}: {failure}", submission.user_id)


def _check_reads(history: History) -> Iterator[Violation]:
    for read in history.failed_reads:
        if not is_excused(history, read.failure, read.api, read.began_at, read.ended_at, read.user_id):
            yield Violation("no needless failure", str(read), read.user_id)


def _check_unanswered(history: History) -> Iterator[Violation]:
    for submission in history.submissions.values():
        if submission.attempts and submission.acknowledged_at == float("inf"):
            last = submission.attempts[-1]
            what = f"submission {submission.id} was sent {len(submission.attempts)} times, at last {last}"
            yield Violation("acknowledged in the end", what, submission.user_id)


def _check_shed(history: History) -> Iterator[Violation]:
    """Shedding is for overload; what is away is no reason for it."""
    failures = [each.outcome for _, each in history.attempts() if isinstance(each.outcome, Failure)]
    shed = sum(failure.code == UNAVAILABLE and _SHED in failure.message for failure in failures)
    sent = sum(1 for _ in history.attempts())
    if shed > max(1.0, sent * _SHED_SHARE_MAX):
        yield Violation("little is shed", f"{shed} of {sent} attempts")


def is_excused(
    history: History, failure: Failure, api: str, began_at: float, ended_at: float, user_id: int | None
) -> bool:
    """Whether something was away that a request needed which failed like this.

    Args:
        user_id: whose request it was; None for standings, which Redis or all shards can tell.
    """
    since = began_at - FOUND_OUT_S
    if failure.code == BROKEN:
        return _was_api_away(history, api, began_at, ended_at)
    if failure.code == TIMEOUT:
        return _was_api_away(history, api, began_at, ended_at, kind="stop")
    if failure.code == BAD_USER_INPUT:
        clocks = history.outages_in(since, ended_at, "clock")
        return any(outage.name == api for outage in clocks) and "check the clock" in failure.message
    if failure.code != UNAVAILABLE:
        return False
    if _SHED in failure.message:
        return True
    if _was_api_away(history, api, began_at, ended_at):
        # It slept through the deadline of what it had taken on, or has just started and knows no shard yet.
        return True
    shards = {outage.name for outage in history.outages_in(since, ended_at, "postgres", "pgbouncer")}
    if user_id is None:
        return bool(shards) and bool(history.outages_in(since, ended_at, "valkey"))
    return bool(shards & history.owners_in(user_id, began_at, ended_at))


def _was_api_away(history: History, api: str, began_at: float, ended_at: float, kind: str | None = None) -> bool:
    outages = history.outages_in(began_at - FOUND_OUT_S, ended_at, "api")
    return any(outage.name == api and kind in (None, outage.kind) for outage in outages)
