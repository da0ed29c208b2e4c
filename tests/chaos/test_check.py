"""The checks find what they are there for: each fault is planted in a history that is right without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from uuid import UUID

import pytest

from domain.ids import make_uuid7
from sharding.placement import bucket_of
from tests.chaos.chains import chains_of
from tests.chaos.check_failures import check_failures
from tests.chaos.check_reads import KEPT_S, check_reads
from tests.chaos.check_writes import check_writes
from tests.chaos.history import (
    Answer,
    FailedRead,
    Failure,
    History,
    HistoryRead,
    Outage,
    Read,
    Seen,
)
from tests.chaos.stored import Stored, StoredSession
from tests.chaos.worlds import IDS, found, make_world


def written(history: History, stored: Stored) -> list[tuple[str, int | None]]:
    return found(check_writes(history, stored))


def read(history: History, stored: Stored) -> list[tuple[str, int | None]]:
    return found(check_reads(history, chains_of(stored.sessions, history)))


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    history, stored = make_world()
    assert check_writes(history, stored) == []
    assert check_failures(history) == []
    assert check_reads(history, chains_of(stored.sessions, history)) == []


def lose(_: History, stored: Stored) -> None:
    del stored.sessions[4]
    stored.standings[0] = stored.standings[0]._replace(total=3, games=2)


def store_twice(_: History, stored: Stored) -> None:
    stored.sessions.append(stored.sessions[0]._replace(shard="shard2"))


def count_twice(_: History, stored: Stored) -> None:
    stored.standings[0] = stored.standings[0]._replace(total=15, games=4)


def count_twice_in_the_chain(_: History, stored: Stored) -> None:
    stored.sessions[2] = stored.sessions[2]._replace(total_after=8)


def skip_a_game(_: History, stored: Stored) -> None:
    stored.sessions[4] = stored.sessions[4]._replace(games_after=4)


def swap(_: History, stored: Stored) -> None:
    """Sessions that did not overlap, in the wrong order, and totals that agree with that."""
    first, third = stored.sessions[0], stored.sessions[2]
    stored.sessions[0] = third._replace(total_after=-2, games_after=1)
    stored.sessions[2] = first._replace(total_after=3, games_after=2)


def tell_another_total(history: History, _: Stored) -> None:
    history.submissions[IDS[1]].attempts[1].outcome = Answer(5, 1, None, True)


def tell_another_game(history: History, _: Stored) -> None:
    history.submissions[IDS[1]].attempts[0].outcome = Answer(4, 2, None, False)


def record_again(history: History, _: Stored) -> None:
    history.submissions[IDS[1]].attempts[1].api = "api-1"
    history.submissions[IDS[1]].attempts[1].outcome = Answer(4, 1, None, False)


def duplicate_at_once(history: History, _: Stored) -> None:
    history.submissions[IDS[1]].attempts[0].outcome = Answer(4, 1, None, True)


def own_by_two(_: History, stored: Stored) -> None:
    stored.owners[5].append(("shard2", 2))


def own_by_nobody(_: History, stored: Stored) -> None:
    del stored.owners[5]


def leave_a_copy(_: History, stored: Stored) -> None:
    stored.standings.append(stored.standings[1]._replace(shard="shard2"))


def invent(_: History, stored: Stored) -> None:
    stored.sessions.append(StoredSession("shard1", make_uuid7(9, 9), 8, bucket_of(8), 1, 9, 3))
    stored.standings[1] = stored.standings[1]._replace(total=9, games=3)


def change_the_score(_: History, stored: Stored) -> None:
    stored.sessions[3] = stored.sessions[3]._replace(score=5, total_after=9)
    stored.standings[1] = stored.standings[1]._replace(total=9)


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (lose, [("durable", 7)]),
        (store_twice, [("placement", 7), ("exactly once", 7), ("chain", 7), ("standing", 7)]),
        (count_twice, [("standing", 7)]),
        (count_twice_in_the_chain, [("chain", 7), ("answer", 7), ("answer", 7)]),
        (skip_a_game, [("chain", 7), ("answer", 7), ("answer", 7)]),
        (swap, [("real-time order", 7), *[("answer", 7)] * 4]),
        (tell_another_total, [("answer", 8)]),
        (tell_another_game, [("answer", 8)]),
        (record_again, [("duplicate", 8), ("duplicate", 8)]),
        (duplicate_at_once, [("duplicate", 8)]),
        (own_by_two, [("one owner", None)]),
        (own_by_nobody, [("one owner", None)]),
        (leave_a_copy, [("placement", 8), ("standing", 8)]),
        (invent, [("exactly once", 8)]),
        (change_the_score, [("exactly once", 8), ("answer", 8), ("answer", 8)]),
    ],
)
def test_what_is_wrong_with_writes_is_found(
    plant: Callable[[History, Stored], None], expected: list[tuple[str, int | None]]
) -> None:
    history, stored = make_world()
    plant(history, stored)
    assert written(history, stored) == expected


def test_a_swap_of_sessions_that_overlapped_is_none() -> None:
    history, stored = make_world()
    history.submissions[IDS[0]].attempts[0].ended_at = 20.5
    history.submissions[IDS[0]].attempts[1].began_at = history.submissions[IDS[0]].attempts[1].ended_at = 21
    swap(history, stored)
    assert ("real-time order", 7) not in written(history, stored)


def test_an_unacknowledged_session_may_be_stored_or_not() -> None:
    history, stored = make_world()
    for attempt in history.submissions[IDS[4]].attempts:
        attempt.outcome = Failure("UNAVAILABLE", "")
    assert written(history, stored) == []
    lose(history, stored)
    assert written(history, stored) == []
    assert found(check_failures(history)) == [
        *[("no needless failure", 7)] * 2,
        ("acknowledged in the end", 7),
    ]


def seen(user: int, total: int, games: int, rank: int | None) -> Seen:
    return Seen(user, total, games, rank)


# At 28, player 7 has 3 by 2 games and player 8 has 8 by 2.
TOP_AT_28 = [seen(8, 8, 2, 1), seen(7, 3, 2, 2)]


@pytest.mark.parametrize(
    ("what", "at", "entries", "count", "expected"),
    [
        ("leaderboard", 28.0, TOP_AT_28, 2, []),
        ("leaderboard", 28.0, TOP_AT_28, 1, [("count", None)]),
        ("leaderboard", 28.0, TOP_AT_28, 3, [("count", None)]),
        ("leaderboard", 28.0, TOP_AT_28[::-1], 2, [("order", 8), ("ranks", 7), ("ranks", None)]),
        ("leaderboard", 28.0, [seen(8, 8, 2, 1), seen(7, 3, 2, 1)], 2, [("ranks", None), ("rank", 7)]),
        ("leaderboard", 28.0, [seen(8, 8, 2, None), seen(7, 3, 2, None)], 2, []),
        # One game too few, one too many, and a total that is another game's.
        ("rank", 28.0, [seen(7, 5, 1, 2)], None, [("standing seen", 7)]),
        ("rank", 28.0, [seen(7, 10, 3, 1)], None, [("standing seen", 7)]),
        ("rank", 28.0, [seen(7, 5, 2, 2)], None, [("standing seen", 7)]),
        ("rank", 28.0, [seen(7, 3, 2, 2)], None, []),
        ("rank", 28.0, [seen(7, 3, 2, 1)], None, [("rank", 7)]),
        ("rank", 28.0, [seen(7, 3, 2, 3)], None, [("rank", 7)]),
        ("rank", 28.0, [seen(9, 3, 2, 3)], None, [("standing seen", 9)]),
        # Player 8 goes from 4 to 8 meanwhile, past nobody.
        ("rank", 25.5, [seen(7, 3, 2, 2)], None, []),
        # While player 7 goes from 3 to 10, past player 8, both may be first.
        ("rank", 30.5, [seen(7, 3, 2, 2)], None, []),
        ("rank", 30.5, [seen(7, 10, 3, 1)], None, []),
        ("rank", 30.5, [seen(8, 8, 2, 1)], None, []),
        ("rank", 30.5, [seen(8, 8, 2, 2)], None, []),
        ("rank", 31.5, [seen(8, 8, 2, 1)], None, [("rank", 8)]),
        # Player 8 is not there before 15, and maybe from then on.
        ("rank", 14.0, [seen(7, 5, 1, 1)], None, []),
        ("rank", 14.0, [seen(8, 4, 1, 2)], None, [("standing seen", 8)]),
        ("rank", 15.5, [seen(8, 4, 1, 2)], None, []),
        ("around", 28.0, [seen(7, 3, 2, 2)], None, []),
        ("around", 28.0, TOP_AT_28, None, []),
    ],
)
def test_what_is_wrong_with_standings_is_found(
    what: str, at: float, entries: list[Seen], count: int | None, expected: list[tuple[str, int | None]]
) -> None:
    history, stored = make_world()
    history.reads.append(Read(what, "api-1", at, at + 0.1, entries, count=count))
    assert read(history, stored) == expected


def test_ties_share_a_rank_and_the_next_is_behind_all_of_them() -> None:
    history, stored = make_world()
    history.outages.append(Outage("valkey", "valkey", 0.0))

    def ranks(*wanted: tuple[int, int, int | None]) -> list[str]:
        history.reads = [Read("around", "api-1", 50, 51, [seen(user, total, 1, rank) for user, total, rank in wanted])]
        return [v.promise for v in check_reads(history, chains_of(stored.sessions, history)) if v.promise == "ranks"]

    assert ranks((1, 9, 5), (2, 9, 5), (3, 9, 5), (4, 7, 8), (5, 6, 9)) == []
    assert ranks((1, 9, 5), (2, 9, 5), (3, 9, 6), (4, 7, 8), (5, 6, 9)) == ["ranks"]
    assert ranks((1, 9, 5), (2, 8, 6), (3, 8, 6), (4, 7, 7)) == ["ranks"]
    assert ranks((1, 9, 5), (2, 8, 6), (3, 8, 6), (4, 7, 8)) == []
    assert ranks((1, 9, 5), (2, 9, 5), (3, 8, 4)) == []  # the first tie may have begun anywhere


def test_a_rank_in_an_answer_is_counted_after() -> None:
    history, stored = make_world()
    first = history.submissions[IDS[0]].attempts[0]
    assert first.answer
    first.outcome = first.answer._replace(rank=2)
    assert read(history, stored) == [("rank", 7)]


def test_after_an_outage_ranks_may_be_old_and_never_of_the_future() -> None:
    history, stored = make_world()
    history.outages.append(Outage("valkey", "valkey", 20.0, 27.0))
    history.reads = [Read("rank", "api-1", 28, 28.1, [seen(7, 5, 1, 1)])]
    assert read(history, stored) == []
    history.reads = [Read("rank", "api-1", 28, 28.1, [seen(7, 10, 3, 1)])]
    assert read(history, stored) == [("standing seen", 7)]
    history.outages[0].role = "mover"
    history.reads = [Read("rank", "api-1", 28, 28.1, [seen(7, 5, 1, 2)])]
    assert read(history, stored) == [("standing seen", 7)]


def test_a_kept_answer_may_be_old_but_not_for_long() -> None:
    history, stored = make_world()
    before = [seen(7, 5, 1, 1), seen(8, 4, 1, 2)]
    history.reads = [Read("leaderboard", "api-1", 21.0 + KEPT_S - 0.1, 26.9, before, fresh=False)]
    assert read(history, stored) == []
    history.reads = [Read("leaderboard", "api-1", 21.0 + KEPT_S + 0.1, 26.9, before, fresh=False)]
    assert ("standing seen", 7) in read(history, stored)


@pytest.mark.parametrize(
    ("games", "ids", "expected"),
    [
        (2, [IDS[2], IDS[0]], []),
        (1, [IDS[0]], [("history", 7)]),
        (3, [IDS[4], IDS[2], IDS[0]], [("history", 7)]),
        (2, [IDS[0], IDS[2]], [("history", 7)]),
        (2, [IDS[2]], [("history", 7)]),
        (2, [IDS[2], IDS[2], IDS[0]], [("history", 7)]),
    ],
)
def test_what_is_wrong_with_histories_is_found(games: int, ids: list[UUID], expected: list[tuple[str, int]]) -> None:
    history, stored = make_world()
    history.outages.append(Outage("postgres", "shard1", 0.0, 100.0))
    history.history_reads.append(HistoryRead("api-1", 28, 28.1, 7, 5, games, ids))
    assert read(history, stored) == expected


def test_a_watcher_that_is_sent_back_is_found() -> None:
    history, stored = make_world()
    frames = [(17.0, [seen(7, 5, 1, 1), seen(8, 4, 1, 2)]), (22.0, [seen(8, 4, 1, 1), seen(7, 3, 2, 2)])]
    watched = [
        Read("watch", "api-1", at, at, entries, fresh=False, sequence=number, connection=1)
        for number, (at, entries) in enumerate(frames)
    ]
    history.reads = list(watched)
    assert read(history, stored) == []
    history.reads = [watched[1], replace(watched[0], began_at=22.1, ended_at=22.1)]
    assert read(history, stored) == [("watch", None), ("watch", 7)]
    history.reads = [watched[1], replace(watched[0], began_at=22.1, ended_at=22.1, connection=2)]
    assert read(history, stored) == []
    assert all(one.ended_at < other.began_at for one, other in pairwise(watched))


@pytest.mark.parametrize(
    ("outages", "excused"),
    [
        ([], False),
        ([Outage("postgres", "shard1", 9.0, 10.5)], True),
        ([Outage("pgbouncer", "shard1", 3.0, 9.0)], True),
        ([Outage("pgbouncer", "shard1", 3.0, 5.0)], False),
        ([Outage("postgres", "shard2", 9.0, 10.5)], False),
        ([Outage("valkey", "valkey", 9.0, 10.5)], False),
        ([Outage("api", "api-1", 9.0, 10.5)], False),
        ([Outage("mover", "mover", 9.0, 10.5)], False),
    ],
)
def test_who_excuses_that_a_write_is_refused(outages: list[Outage], excused: bool) -> None:
    history, _ = make_world()
    refused = history.submissions[IDS[0]].begin("api-2", 10.0)
    refused.ended_at, refused.outcome = 10.2, Failure("UNAVAILABLE", "")
    history.outages = outages
    assert found(check_failures(history)) == [("no needless failure", 7)] * (not excused)


@pytest.mark.parametrize(
    ("code", "outages", "excused"),
    [
        ("BROKEN", [Outage("api", "api-1", 9.0, 10.5)], True),
        ("BROKEN", [Outage("api", "api-2", 9.0, 10.5)], False),
        ("TIMEOUT", [Outage("api", "api-1", 9.0, 10.5)], False),
        ("INTERNAL_SERVER_ERROR", [Outage("postgres", "shard1", 9.0, 10.5)], False),
        ("UNAVAILABLE", [Outage("postgres", "shard1", 9.0, 10.5)], False),
        ("UNAVAILABLE", [Outage("valkey", "valkey", 9.0, 10.5)], False),
        ("UNAVAILABLE", [Outage("valkey", "valkey", 9.0, 10.5), Outage("pgbouncer", "shard4", 8.0, 9.5)], True),
    ],
)
def test_who_excuses_that_a_read_fails(code: str, outages: list[Outage], excused: bool) -> None:
    history, _ = make_world()
    history.failed_reads.append(FailedRead("rank", "api-1", 10.0, 10.2, Failure(code, "")))
    history.outages = outages
    assert found(check_failures(history)) == [("no needless failure", None)] * (not excused)


def test_who_owned_a_bucket_meanwhile_excuses_too() -> None:
    history, _ = make_world()
    refused = history.submissions[IDS[0]].begin("api-2", 10.0)
    refused.ended_at, refused.outcome = 10.2, Failure("UNAVAILABLE", "")
    history.outages = [Outage("postgres", "shard2", 9.0, 10.5)]
    history.owners[bucket_of(7)] = [(0.0, "shard1"), (12.0, "shard2")]
    assert check_failures(history) == []
    history.owners[bucket_of(7)] = [(0.0, "shard1"), (20.0, "shard2")]
    assert found(check_failures(history)) == [("no needless failure", 7)]
