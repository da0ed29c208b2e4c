"""The checks of the fault run's own find what is planted."""

from __future__ import annotations

from random import Random

import pytest

from domain.ids import make_uuid7
from sharding.placement import BUCKET_COUNT
from tests.chaos.faults.check_redis import check_without_redis
from tests.chaos.faults.kinds import KINDS
from tests.chaos.faults.nemesis import Deck
from tests.chaos.faults.others import FLOOR_MS, check_others, compare_others, table_of
from tests.chaos.faults.usage import Usage, check_usage
from tests.chaos.history import Answer, Failure, History, Outage, Submission
from tests.chaos.worlds import found, make_world

SHARDS, APIS = ["shard1", "shard2"], ["api-1", "api-2"]


@pytest.mark.parametrize(
    ("dark", "away", "right"),
    [
        ((9.0, 12.0), [], True),
        ((12.0, 14.5), [], False),
        # Too short to say anything.
        ((12.0, 12.5), [], True),
        ((12.0, 14.5), [Outage("postgres", "shard1", 12.0, 13.0)], True),
        ((12.0, 14.5), [Outage("clock", "api-1", 12.0, 13.0)], False),
    ],
)
def test_a_standstill_without_redis_is_found(dark: tuple[float, float], away: list[Outage], right: bool) -> None:
    history, _ = make_world()
    # Player 7 is answered from 10 to 11 and, again, from 12 to 13.
    history.submissions[next(iter(history.submissions))].attempts.pop()
    history.dark, history.outages = [dark], away
    assert found(check_without_redis(history)) == [("goes on without Redis", None)] * (not right)


def others_wait(before_ms: float, during_ms: float) -> History:
    """200 submissions of a player of shard2 before shard1 is away from 10 to 20, and as many meanwhile."""
    history = History(owners={bucket: [(0.0, "shard2")] for bucket in range(BUCKET_COUNT)})
    for number in range(400):
        submission = history.add(Submission(make_uuid7(number, number), 8, "player 8", 1))
        began_at, wait_ms = (1 + number / 25, before_ms) if number < 200 else (10 + (number - 200) / 25, during_ms)
        attempt = submission.begin("api-1", began_at)
        attempt.ended_at, attempt.outcome = began_at + wait_ms / 1000, Answer(number, number, None, False)
    history.outages = [Outage("postgres", "shard1", 10.0, 20.0)]
    return history


@pytest.mark.parametrize(
    ("before_ms", "during_ms", "right"),
    [(100, 190, True), (100, 210, False), (10, FLOOR_MS - 5, True), (10, FLOOR_MS + 5, False)],
)
def test_others_who_wait_twice_as_long_are_found(before_ms: float, during_ms: float, right: bool) -> None:
    history = others_wait(before_ms, during_ms)
    rows = compare_others(history, [("a kill", outage) for outage in history.outages])
    assert [(len(row.before.waits_ms), len(row.during.waits_ms)) for row in rows] == [(200, 200)]
    assert rows[0].during.quantile(99) == pytest.approx(during_ms)
    assert found(check_others(rows)) == [("others notice nothing", None)] * (not right)


def test_the_table_counts_failures_of_others_alone() -> None:
    history = others_wait(10, 20)
    last = list(history.submissions.values())[-1]
    last.attempts[0].outcome = Failure("UNAVAILABLE", "")
    own = history.add(Submission(make_uuid7(9_999, 1), 8, "player 8", 1)).begin("api-1", 15.0)
    own.ended_at, own.outcome = 15.1, Failure("UNAVAILABLE", "")
    rows = compare_others(history, [("a kill", history.outages[0])])
    assert (rows[0].before.failures, rows[0].during.failures) == (0, 2)
    history.owners = {bucket: [(0.0, "shard1")] for bucket in range(BUCKET_COUNT)}
    assert compare_others(history, [("a kill", history.outages[0])])[0].during.waits_ms == []
    head, line = table_of(rows)
    assert "p99" in head
    assert "a kill" in line
    assert "2/201" in line


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (Usage(10, 20, 31, 100.0), []),
        (Usage(14, 52, 63, 149.0), []),
        (Usage(15, 20, 31, 100.0), ["tasks"]),
        (Usage(10, 53, 31, 100.0), ["connections"]),
        (Usage(10, 20, 64, 100.0), ["descriptors"]),
        (Usage(10, 20, 31, 150.0), ["memory"]),
    ],
)
def test_what_is_not_given_back_is_found(after: Usage, what: list[str]) -> None:
    violations = check_usage({"api-1": Usage(10, 20, 31, 100.0)}, {"api-1": after})
    assert [violation.what.split()[0] for violation in violations] == what


def test_a_deck_holds_every_kind_once_and_is_decided_by_its_seed() -> None:
    def deck(seed: int) -> Deck:
        return Deck(Random(seed), KINDS, SHARDS, APIS, (1.0, 2.0))

    drawn = [deck(1).draw() for _ in range(3)]
    assert drawn[0] == drawn[1] == drawn[2]
    one, other = deck(1), deck(2)
    first = [one.draw() for _ in KINDS]
    assert sorted(fault.kind for fault in first) == sorted(KINDS)
    assert first != [other.draw() for _ in KINDS]
    assert sorted(one.draw().kind for _ in KINDS) == sorted(KINDS)
    lanes = deck(1).lanes()
    assert sorted(fault.kind for lane in lanes for fault in lane) == sorted(KINDS)
    for lane in lanes:
        assert len({KINDS[fault.kind].role in ("postgres", "pgbouncer") for fault in lane}) == 1
    assert {fault.part for fault in first if fault.kind == "a full disk"} == {"shard2"}
