"""Promises 4 and 5: who may be refused, and for how long. Moving buckets refuses nobody.

An error is excused by a part that was killed and that the request needs: writes and histories by the player's shard,
standings by Redis and any shard together, a broken connection by its API process. A mover excuses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from sharding.placement import bucket_of
from tests.chaos.history import BROKEN, UNAVAILABLE, Failure, History, Violation

# A part that is back may be found out so late: connections to it are opened anew, the map is asked for again.
FOUND_OUT_S = 3.0
# Owners are looked at now and then only: whoever owned a bucket so shortly before or after may have owned it then.
_OWNERS_S = 3.0


def check_failures(history: History) -> list[Violation]:
    """Every error that no part's absence excuses, and every submission that was never acknowledged."""
    return [*_check_attempts(history), *_check_reads(history), *_check_unanswered(history)]


def _check_attempts(history: History) -> Iterator[Violation]:
    for submission, attempt in history.attempts():
        failure = attempt.outcome
        if isinstance(failure, Failure) and not _is_excused(
            history, failure, attempt.api, attempt.began_at, attempt.ended_at, submission.user_id
        ):
            what = f"submission {submission.id} at {attempt.api} [{attempt.began_at:.3f}, {attempt.ended_at:.3f}]"
            yield Violation("no needless failure", f"{what}: {failure}", submission.user_id)


def _check_reads(history: History) -> Iterator[Violation]:
    for read in history.failed_reads:
        if not _is_excused(history, read.failure, read.api, read.began_at, read.ended_at, read.user_id):
            yield Violation("no needless failure", str(read), read.user_id)


def _check_unanswered(history: History) -> Iterator[Violation]:
    for submission in history.submissions.values():
        if submission.attempts and submission.acknowledged_at == float("inf"):
            last = submission.attempts[-1]
            what = f"submission {submission.id} was sent {len(submission.attempts)} times, at last {last}"
            yield Violation("acknowledged in the end", what, submission.user_id)


def _is_excused(
    history: History, failure: Failure, api: str, began_at: float, ended_at: float, user_id: int | None
) -> bool:
    since = began_at - FOUND_OUT_S
    if failure.code == BROKEN:
        return any(outage.name == api for outage in history.outages_in(since, ended_at, "api"))
    if failure.code != UNAVAILABLE:
        return False
    shards = {outage.name for outage in history.outages_in(since, ended_at, "postgres", "pgbouncer")}
    if user_id is None:
        return bool(shards) and bool(history.outages_in(since, ended_at, "valkey"))
    return bool(shards & _owners(history, user_id, began_at, ended_at))


def _owners(history: History, user_id: int, began_at: float, ended_at: float) -> set[str]:
    """Every shard that may have owned a player's bucket at some time of a span."""
    seen = history.owners.get(bucket_of(user_id), [])
    within = {shard for at, shard in seen if began_at - _OWNERS_S <= at <= ended_at + _OWNERS_S}
    before = [shard for at, shard in seen if at < began_at - _OWNERS_S]
    return within | set(before[-1:])
