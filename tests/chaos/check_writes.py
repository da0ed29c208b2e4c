"""Promise 1: an acknowledged submission is durable and counts exactly once, and what clients were told is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from sharding.placement import BUCKET_COUNT, bucket_of
from tests.chaos.check_ids import was_let_through
from tests.chaos.history import History, Submission, Violation
from tests.chaos.stored import Stored, StoredSession, StoredStanding


def check_writes(history: History, stored: Stored) -> list[Violation]:
    """Compare what was acknowledged with what is stored, after all writers have stopped.

    Sessions of players whom nobody in `history` plays for are left alone.
    """
    players = {submission.user_id for submission in history.submissions.values()}
    sessions = [session for session in stored.sessions if session.user_id in players]
    by_user: dict[int, list[StoredSession]] = {user: [] for user in players}
    for session in sessions:
        by_user[session.user_id].append(session)
    for held in by_user.values():
        held.sort(key=lambda session: session.games_after)
    return [
        *_check_owners(stored),
        *_check_places(stored),
        *_check_ids(history, sessions),
        *(violation for user, held in by_user.items() for violation in _check_chain(user, held)),
        *(violation for user, held in by_user.items() for violation in _check_order(history, user, held)),
        *_check_standings(stored, by_user),
        *_check_answers(history, sessions),
    ]


def _check_owners(stored: Stored) -> Iterator[Violation]:
    for bucket in range(BUCKET_COUNT):
        claims = stored.owners.get(bucket, [])
        if len(claims) != 1:
            yield Violation("one owner", f"bucket {bucket} is owned by {claims or 'nobody'}")


def _check_places(stored: Stored) -> Iterator[Violation]:
    """Every row is on the shard that owns its bucket, and on no other."""
    rows: list[StoredSession | StoredStanding] = [*stored.sessions, *stored.standings]
    for row in rows:
        if row.bucket != bucket_of(row.user_id):
            yield Violation("placement", f"{row} is in bucket {row.bucket}", row.user_id)
        owners = [shard for shard, _ in stored.owners.get(row.bucket, [])]
        if row.shard not in owners:
            yield Violation("placement", f"{row} is on a shard that does not own it, but {owners}", row.user_id)


def _check_ids(history: History, sessions: Sequence[StoredSession]) -> Iterator[Violation]:
    let_through = {
        (misuse.id, misuse.user_id, misuse.score) for misuse in history.misuses if was_let_through(history, misuse)
    }
    sessions = [each for each in sessions if (each.id, each.user_id, each.score) not in let_through]
    counts = Counter(session.id for session in sessions)
    for submission in history.submissions.values():
        if submission.acknowledged_at < float("inf") and not counts[submission.id]:
            yield Violation("durable", f"{_told(submission)} is on no shard", submission.user_id)
        if counts[submission.id] > 1:
            where = [session.shard for session in sessions if session.id == submission.id]
            yield Violation("exactly once", f"{_told(submission)} is stored on {where}", submission.user_id)
    for session in sessions:
        sent = history.sent(session.id, session.user_id)
        if sent is None or sent.score != session.score:
            yield Violation("exactly once", f"{session} was never sent like this", session.user_id)


def _check_chain(user: int, sessions: Sequence[StoredSession]) -> Iterator[Violation]:
    """Sessions in the order of their games: 1, 2, 3, …, each adding its score to the total before it."""
    total = 0
    for games, session in enumerate(sessions, start=1):
        total += session.score
        if session.games_after != games:
            yield Violation("chain", f"{session} is game {session.games_after} and should be {games}", user)
            return
        if session.total_after != total:
            yield Violation("chain", f"{session} has total {session.total_after} and should have {total}", user)
            return


def _check_order(history: History, user: int, sessions: Sequence[StoredSession]) -> Iterator[Violation]:
    """What was answered before another one began counts before it."""
    latest: Submission | None = None
    for session in sessions:
        sent = history.sent(session.id, user)
        if sent is None:
            continue
        if latest is not None and sent.acknowledged_at < latest.began_at:
            yield Violation(
                "real-time order",
                f"{_told(sent)} is game {session.games_after}, after {_told(latest)} that began when it was answered",
                user,
            )
        if latest is None or sent.began_at > latest.began_at:
            latest = sent


def _check_standings(stored: Stored, by_user: dict[int, list[StoredSession]]) -> Iterator[Violation]:
    standings: dict[int, list[tuple[int, int]]] = {}
    for standing in stored.standings:
        standings.setdefault(standing.user_id, []).append((standing.total, standing.games))
    for user, sessions in by_user.items():
        held = standings.get(user, [])
        summed = [(sum(session.score for session in sessions), len(sessions))] * bool(sessions)
        if held != summed:
            yield Violation("standing", f"player {user} has {held}, the sessions make {summed}", user)


def _check_answers(history: History, sessions: Sequence[StoredSession]) -> Iterator[Violation]:
    by_id = {(session.id, session.user_id): session for session in sessions}
    for submission, attempt in history.attempts():
        session, answer = by_id.get((submission.id, submission.user_id)), attempt.answer
        if session and answer and (answer.total, answer.games) != (session.total_after, session.games_after):
            yield Violation("answer", f"{_told(submission)} was told {answer}, stored is {session}", session.user_id)
    for submission in history.submissions.values():
        if submission.attempts:
            yield from _check_duplicates(submission)


def _check_duplicates(submission: Submission) -> Iterator[Violation]:
    """Of all answers to one submission the first recorded it, and no other did."""
    answered = [attempt for attempt in submission.attempts if attempt.answer]
    firsts = [attempt for attempt in answered if attempt.answer and not attempt.answer.duplicate]
    if len({attempt.api for attempt in firsts}) < len(firsts):
        # At two processes in one microsecond is a known flaw: a submission is told from the service's own second try
        # of it by that microsecond. It counts once all the same.
        yield Violation("duplicate", f"{_told(submission)} was recorded {len(firsts)} times", submission.user_id)
    for attempt in submission.attempts:
        if attempt.answer and not attempt.answer.duplicate and submission.acknowledged_at < attempt.began_at:
            yield Violation("duplicate", f"{_told(submission)} was answered as new again", submission.user_id)
    first, *others = sorted(submission.attempts, key=lambda attempt: attempt.began_at)
    alone = all(first.ended_at < other.began_at for other in others)
    if alone and first.answer and first.answer.duplicate:
        yield Violation("duplicate", f"{_told(submission)} was a duplicate the first time", submission.user_id)


def _told(submission: Submission) -> str:
    return f"submission {submission.id} of player {submission.user_id} ({submission.score:+d})"
