"""The checks of submission ids, of deadlines and of a life without Redis find what is planted in a right history."""

from __future__ import annotations

import pytest

from sharding.placement import bucket_of
from tests.chaos.chains import chains_of
from tests.chaos.check_failures import DEADLINE_GRACE_S, DEADLINE_S, check_deadlines, check_failures
from tests.chaos.check_ids import check_ids
from tests.chaos.check_reads import check_reads
from tests.chaos.check_writes import check_writes
from tests.chaos.history import Answer, Attempt, FailedRead, Failure, History, Misuse, Outage, Read, Seen
from tests.chaos.stored import StoredSession
from tests.chaos.worlds import IDS, found, make_world

CONFLICT = Failure("CONFLICT", "submissionId … was used before")
AWAY = Failure("UNAVAILABLE", "Shard shard1 does not answer")


def misuse(history: History, user_id: int, outcome: Answer | Failure | None) -> None:
    """The first id, of player 7, again at 40 with the score 9."""
    history.misuses.append(Misuse(IDS[0], user_id, 9, Attempt("api-1", 40.0, 40.1, outcome)))


def test_one_id_is_answered_in_one_way() -> None:
    history, _ = make_world()
    assert check_ids(history) == []
    history.submissions[IDS[0]].attempts[1].outcome = Answer(5, 2, None, True)
    assert found(check_ids(history)) == [("same id, same answer", 7)]


@pytest.mark.parametrize("user_id", [7, 8])
@pytest.mark.parametrize(
    ("outcome", "right"),
    [
        (CONFLICT, True),
        (None, True),
        (Answer(14, 3, 1, False), False),
        (Answer(5, 1, 1, True), False),
        (AWAY, False),
        (Failure("INTERNAL_SERVER_ERROR", ""), False),
    ],
)
def test_other_content_with_a_used_id_is_a_conflict(user_id: int, outcome: Answer | Failure, right: bool) -> None:
    history, _ = make_world()
    misuse(history, user_id, outcome)
    assert found(check_ids(history)) == [("conflict", user_id)] * (not right)


def test_a_shard_that_is_away_excuses_that_its_ids_are_not_known() -> None:
    history, stored = make_world()
    history.owners[bucket_of(8)] = [(0.0, "shard2")]
    stored.owners[bucket_of(8)] = [("shard2", 1)]
    stored.sessions[:] = [each._replace(shard="shard2") if each.user_id == 8 else each for each in stored.sessions]
    stored.standings[1] = stored.standings[1]._replace(shard="shard2", total=17, games=3)
    misuse(history, 8, Answer(17, 3, 1, False))
    stored.sessions.append(StoredSession("shard2", IDS[0], 8, bucket_of(8), 9, 17, 3))
    assert {promise for promise, _ in found(check_writes(history, stored))} == {"exactly once"}
    history.outages = [Outage("postgres", "shard2", 39.0, 41.0)]
    assert found(check_ids(history)) == [("conflict", 8)]
    history.outages = [Outage("postgres", "shard1", 39.0, 41.0)]
    assert check_ids(history) == []
    assert check_writes(history, stored) == []


@pytest.mark.parametrize(
    ("took_s", "outages", "right"),
    [
        (DEADLINE_S + DEADLINE_GRACE_S - 0.1, [], True),
        (DEADLINE_S + DEADLINE_GRACE_S + 0.1, [], False),
        (DEADLINE_S + DEADLINE_GRACE_S + 0.1, [Outage("postgres", "shard1", 9.0, 12.0)], False),
        (DEADLINE_S + DEADLINE_GRACE_S + 0.1, [Outage("valkey", "valkey", 9.0, 12.0)], False),
        (DEADLINE_S + DEADLINE_GRACE_S + 0.1, [Outage("api", "api-2", 9.0, 12.0, kind="stop")], False),
        (DEADLINE_S + DEADLINE_GRACE_S + 0.1, [Outage("api", "api-1", 9.0, 12.0, kind="stop")], True),
    ],
)
def test_who_is_answered_too_late_is_found(took_s: float, outages: list[Outage], right: bool) -> None:
    history, _ = make_world()
    history.outages = outages
    assert check_deadlines(history) == []
    history.submissions[IDS[0]].attempts[0].ended_at = 10.0 + took_s
    history.reads.append(Read("rank", "api-1", 10.0, 10.0 + took_s, []))
    history.failed_reads.append(FailedRead("history", "api-1", 10.0, 10.0 + took_s, AWAY, 7))
    # A watch lasts as long as it lasts.
    history.failed_reads.append(FailedRead("watch", "api-1", 10.0, 10.0 + 10 * took_s, AWAY))
    expected = [("deadline", 7), ("deadline", None), ("deadline", 7)]
    assert found(check_deadlines(history)) == expected * (not right)


@pytest.mark.parametrize(
    ("code", "message", "outages", "excused"),
    [
        ("TIMEOUT", "", [Outage("api", "api-2", 9.0, 12.0, kind="stop")], True),
        ("UNAVAILABLE", "", [Outage("api", "api-2", 9.0, 12.0, kind="stop")], True),
        ("UNAVAILABLE", "", [Outage("api", "api-2", 9.0, 12.0)], True),
        ("TIMEOUT", "", [Outage("api", "api-2", 9.0, 12.0)], False),
        ("UNAVAILABLE", "", [Outage("api", "api-1", 9.0, 12.0, kind="stop")], False),
        ("BAD_USER_INPUT", "check the clock of the machine", [Outage("clock", "api-2", 9.0, 12.0)], True),
        ("BAD_USER_INPUT", "check the clock of the machine", [Outage("clock", "api-1", 9.0, 12.0)], False),
        ("BAD_USER_INPUT", "userId must be", [Outage("clock", "api-2", 9.0, 12.0)], False),
        ("UNAVAILABLE", "", [Outage("pgbouncer", "shard1", 9.0, 12.0, kind="latency", is_harmless=True)], False),
    ],
)
def test_what_a_process_excuses(code: str, message: str, outages: list[Outage], excused: bool) -> None:
    history, _ = make_world()
    refused = history.submissions[IDS[0]].begin("api-2", 10.0)
    refused.ended_at, refused.outcome = 10.2, Failure(code, message)
    history.outages = outages
    assert found(check_failures(history)) == [("no needless failure", 7)] * (not excused)


@pytest.mark.parametrize(("count", "right"), [(1, True), (2, False)])
def test_much_that_is_shed_is_found(count: int, right: bool) -> None:
    history, _ = make_world()
    for id_ in IDS[:count]:
        shed = history.submissions[id_].begin("api-2", 40.0)
        shed.ended_at, shed.outcome = 40.1, Failure("UNAVAILABLE", "The service has more to do than it can")
    assert found(check_failures(history)) == [("little is shed", None)] * (not right)


@pytest.mark.parametrize(
    ("rank", "dark", "away", "expected"),
    [
        (2, [(27.0, 29.0)], [], []),
        (None, [(27.0, 29.0)], [], []),
        (1, [(27.0, 29.0)], [], [("rank", 7)]),
        # Where somebody still reaches Redis it may lack what others could not tell it.
        (1, [], [], []),
        (1, [(28.05, 29.0)], [], []),
        (1, [(27.0, 29.0)], [Outage("postgres", "shard1", 27.5, 28.5)], []),
    ],
)
def test_without_redis_ranks_are_exact_or_null(
    rank: int | None, dark: list[tuple[float, float]], away: list[Outage], expected: list[tuple[str, int]]
) -> None:
    history, stored = make_world()
    history.outages = [Outage("valkey", "valkey", 27.0, 29.0), *away]
    history.dark = dark
    history.reads.append(Read("rank", "api-1", 28.0, 28.1, [Seen(7, 3, 2, rank)]))
    assert found(check_reads(history, chains_of(stored.sessions, history))) == expected


def test_a_watcher_that_is_sent_back_is_found_whatever_is_away() -> None:
    history, stored = make_world()
    history.outages = [Outage("valkey", "valkey", 0.0)]
    history.reads = [
        Read("watch", "api-1", 22.0, 22.0, [Seen(7, 3, 2, 1)], fresh=False, sequence=1),
        Read("watch", "api-1", 22.1, 22.1, [Seen(7, 5, 1, 1)], fresh=False, sequence=2),
    ]
    assert found(check_reads(history, chains_of(stored.sessions, history))) == [("watch", 7)]
