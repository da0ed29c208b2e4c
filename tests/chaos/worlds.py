"""A small history that is right, for tests that plant one fault in it."""

from __future__ import annotations

from domain.ids import make_uuid7
from sharding.placement import BUCKET_COUNT, bucket_of
from tests.chaos.history import Answer, History, Submission, Violation
from tests.chaos.stored import Stored, StoredSession, StoredStanding

# Player 7 plays at 10, 20, 30, player 8 at 15, 25; each answer takes a second. Totals: 7: 5, 3, 10; 8: 4, 8. At last
# the rank after it.
PLAYED = [(7, 5, 10.0, 1), (8, 4, 15.0, 2), (7, -2, 20.0, 2), (8, 4, 25.0, 1), (7, 7, 30.0, 1)]
IDS = [make_uuid7(1_000 + number, number) for number in range(len(PLAYED))]


def make_world() -> tuple[History, Stored]:
    """What was done, and what the shards hold of it; all of it on shard1."""
    history = History()
    sessions: list[StoredSession] = []
    standings: dict[int, tuple[int, int, int]] = {}
    for id_, (user, score, at, rank) in zip(IDS, PLAYED, strict=True):
        _, total, games = standings.get(user, (0, 0, 0))
        total, games = total + score, games + 1
        standings[user] = (user, total, games)
        submission = history.add(Submission(id_, user, f"player {user}", score))
        attempt = submission.begin("api-1", at)
        attempt.ended_at, attempt.outcome = at + 1, Answer(total, games, rank, False)
        again = submission.begin("api-2", at + 2)
        again.ended_at, again.outcome = at + 3, Answer(total, games, None, True)
        sessions.append(StoredSession("shard1", id_, user, bucket_of(user), score, total, games))
    held = [StoredStanding("shard1", user, bucket_of(user), total, games) for user, total, games in standings.values()]
    history.owners = {bucket: [(0.0, "shard1")] for bucket in range(BUCKET_COUNT)}
    return history, Stored(sessions, held, {bucket: [("shard1", 1)] for bucket in range(BUCKET_COUNT)})


def found(violations: list[Violation]) -> list[tuple[str, int | None]]:
    """Which promises are said to be broken, and for whom."""
    return [(violation.promise, violation.user_id) for violation in violations]
