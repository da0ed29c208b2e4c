"""The load of the growth from 4 to 6 shards: what is due, how it is timed, judged and shown; no service."""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from dataclasses import replace
from typing import Any

import pytest
from graphql import build_schema, parse, validate

from benchmarks.goals import judge_reshard
from benchmarks.reshard.latencies import Latencies, Sample, by_second, merge, percentile, summarize
from benchmarks.reshard.moves import Moved, find_spans, sum_up
from benchmarks.reshard.rate import list_rates, why_too_fast
from benchmarks.reshard.requests import is_right, is_whole, make_head, make_id, rank_reads, submissions
from benchmarks.reshard.result import AFTER, BEFORE, DURING, Resharded
from benchmarks.reshard.schedule import Schedule
from benchmarks.reshard.stream import Connection, Stream
from benchmarks.reshard.tables import describe_reshard
from tests.deploy.serving import ROOT

SCHEMA = build_schema((ROOT / "graph" / "schema.graphql").read_text())
PLAYERS = [b"7\tAda", b'-3\tJos\xc3\xa9 \\"J\\"']
HEAD = make_head("http://127.0.0.1:8000/graphql", "secret")


def answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


RIGHT = answer(b'{"data":{"rank":{"rank":1,"totalScore":5}}}')
WRONG = answer(b'{"data":null,"errors":[{"message":"no"}]}')


def samples(*took_ms: float, every_s: float = 0.1) -> list[Sample]:
    """Requests due at even distances from 0 on, sent at once; infinity failed."""
    return [Sample(n * every_s, n * every_s, n * every_s + ms / 1000) for n, ms in enumerate(took_ms)]


# --- What is due


def test_requests_fall_due_by_the_clock() -> None:
    schedule = Schedule(began_at=10.0, per_second=4.0)
    assert [schedule.count_due(now) for now in (9.0, 10.0, 10.2, 10.25, 11.0)] == [0, 1, 1, 2, 5]
    assert [schedule.due_at(number) for number in (0, 1, 4)] == [10.0, 10.25, 11.0]


class Wire(asyncio.Transport):
    """Counts what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.aborted = False

    def write(self, data: Any) -> None:
        self.sent.append(data)

    def abort(self) -> None:
        self.aborted = True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make_stream(clock: Clock, per_second: float, connections: int) -> tuple[Stream, list[Connection], list[Wire]]:
    stream = Stream(("", 0), Schedule(0.0, per_second), lambda: b"request", connections, clock)
    wires = [Wire() for _ in range(connections)]
    made = [Connection(stream) for _ in range(connections)]
    for connection, wire in zip(made, wires, strict=True):
        connection.connection_made(wire)
    return stream, made, wires


def test_a_stall_is_seen_by_all_that_fell_due_meanwhile() -> None:
    clock = Clock()
    stream, (connection,), (wire,) = make_stream(clock, per_second=10.0, connections=1)
    stream.send_due(0.0)
    # For half a second no answer comes: four more are due, the fifth at this very moment.
    for clock.now in (0.1, 0.2, 0.3, 0.4, 0.5):
        stream.send_due(clock.now)
    assert len(wire.sent) == 1
    for _ in range(6):
        connection.data_received(RIGHT)
    assert len(wire.sent) == 6
    found = [Sample(*stream.samples[at : at + 3]) for at in range(0, 18, 3)]
    assert [round(each.answered_at - each.due_at, 3) for each in found] == [0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    assert [round(each.sent_at - each.due_at, 3) for each in found] == [0.0, 0.4, 0.3, 0.2, 0.1, 0.0]
    assert not stream.wrong


def test_answers_come_in_parts_and_wrong_ones_are_counted() -> None:
    clock = Clock()
    stream, (first, second), (one, other) = make_stream(clock, per_second=1.0, connections=2)
    clock.now = 1.0
    stream.send_due(1.0)
    assert (len(one.sent), len(other.sent)) == (1, 1)
    first.data_received(RIGHT[:30])
    first.data_received(RIGHT[30:-1])
    assert not stream.samples
    first.data_received(RIGHT[-1:])
    second.data_received(WRONG)
    assert list(stream.samples) == [0.0, 1.0, 1.0, 1.0, 1.0, math.inf]
    assert stream.wrong == 1
    assert stream.first_wrong.endswith('{"data":null,"errors":[{"message":"no"}]}')


def test_what_is_never_answered_and_never_sent_failed() -> None:
    clock = Clock()
    stream, (connection,), (wire,) = make_stream(clock, per_second=1.0, connections=1)
    stream.send_due(0.0)
    stream.end(1.0)
    assert not stream.is_done
    stream.give_up_late(10.0)
    assert not wire.aborted
    stream.give_up_late(10.1)
    assert wire.aborted
    connection.connection_lost(None)
    stream.close()
    assert list(stream.samples) == [0.0, 0.0, math.inf, 1.0, math.inf, math.inf]
    assert (stream.wrong, stream.first_wrong) == (2, "no answer within 10 s")


def test_a_stream_is_done_when_all_that_was_due_is_answered() -> None:
    clock = Clock()
    stream, (connection,), _ = make_stream(clock, per_second=1.0, connections=1)
    stream.send_due(0.0)
    stream.end(0.9)
    connection.data_received(RIGHT)
    stream.send_due(5.0)
    assert stream.is_done
    stream.close()
    assert list(stream.samples) == [0.0, 0.0, 0.0]
    assert not stream.wrong


# --- What is sent


@pytest.mark.parametrize("make", [submissions(HEAD, PLAYERS), rank_reads(HEAD, PLAYERS)])
def test_requests_are_valid_and_as_long_as_they_say(make: Any) -> None:
    users = set()
    for _ in range(40):
        head, _, body = make().partition(b"\r\n\r\n")
        assert head.startswith(b"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1:8000\r\n")
        assert b"\r\nauthorization: Bearer secret\r\n" in head
        assert head.endswith(b"\r\ncontent-length: %d" % len(body))
        request = json.loads(body)
        assert validate(SCHEMA, parse(request["query"])) == []
        variables = request["variables"].get("input", request["variables"])
        users.add((variables["userId"], variables.get("username")))
    assert users in ({("7", "Ada"), ("-3", 'José "J"')}, {("7", None), ("-3", None)})


def test_ids_are_of_version_7_and_of_now_and_different() -> None:
    made = [uuid.UUID(make_id().decode()) for _ in range(1_000)]
    assert {each.version for each in made} == {7}
    assert {each.variant for each in made} == {uuid.RFC_4122}
    assert len(set(made)) == 1_000
    assert abs((made[-1].int >> 80) - (made[0].int >> 80)) < 10_000


def test_an_answer_is_right_with_a_total_and_a_rank_and_no_errors() -> None:
    assert is_right(RIGHT)
    assert not is_right(WRONG)
    assert not is_right(answer(b'{"data":{"rank":{"rank":1,"totalScore":5}}}', b"503 Service Unavailable"))
    assert not is_right(answer(b'{"data":{"rank":{"rank":null,"totalScore":5}}}'))
    assert not is_right(answer(b'{"data":{"rank":null}}'))
    with pytest.raises(ValueError, match="without its length"):
        is_whole(b"HTTP/1.1 200 OK\r\n\r\n{}")


# --- How it is timed


def test_a_request_belongs_to_the_time_in_which_it_was_due() -> None:
    found = summarize(samples(10, 20, 900, math.inf, 50), [(0.0, 0.25), (0.3, 0.4)])
    assert found.requests == 4
    assert found.failed == 1
    assert found.per_second == pytest.approx(4 / 0.35)
    assert [found.p50_ms, found.max_ms] == pytest.approx([20, 900])


def test_what_was_sent_late_is_late_and_counts_from_when_it_was_due() -> None:
    found = summarize([Sample(0.0, 0.3, 0.4), Sample(0.1, math.inf, math.inf)], [(0.0, 1.0)])
    assert [found.late_p99_ms, found.p50_ms, found.failed] == pytest.approx([300, 400, 1])


def test_nothing_due_is_no_figure() -> None:
    assert summarize(samples(10), []) == summarize([], [(0.0, 0.0)]) == Latencies(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)


def test_percentiles() -> None:
    hundred = [float(n) for n in range(100)]
    assert [percentile(hundred, percent) for percent in (0, 50, 99, 100)] == [0.0, 50.0, 99.0, 99.0]
    assert percentile([1.0], 50) == 1.0


def test_times_that_overlap_count_once() -> None:
    assert merge([(5.0, 6.0), (1.0, 3.0), (2.0, 4.0), (7.0, 7.0)]) == [(1.0, 4.0), (5.0, 6.0)]


def test_seconds_of_a_run() -> None:
    found = list(by_second(samples(*[10] * 10, *[30] * 5), (0.0, 1.5)))
    assert [(second, each.requests, round(each.p50_ms)) for second, each in found] == [(0.0, 10, 10), (1.0, 5, 30)]


# --- How fast it may be


def test_lower_rates_are_tried_down_to_the_lowest() -> None:
    assert list_rates(2_000) == [2_000, 1_000, 500, 250]
    assert list_rates(300) == [300, 250]
    assert list_rates(100) == [100]


def test_a_rate_is_sustained_when_times_stay_short() -> None:
    assert why_too_fast(samples(*[10] * 50), (0.0, 5.0)) is None
    assert why_too_fast(samples(*[10] * 49, 250), (0.0, 5.0)) == "p99 250 ms"
    assert why_too_fast(samples(*[10] * 49, math.inf), (0.0, 5.0)) == "1 of 50 requests failed"
    growing = samples(*range(10, 110, 2))
    assert why_too_fast(growing, (0.0, 5.0)) == "a growing backlog: p50 rose from 20 to 100 ms"


# --- What was moved


def status(number: int, **other: Any) -> dict[str, Any]:
    """A move as `shards status --json` tells it: ten seconds of copying, five of switching."""
    minute = f"2026-11-23 10:{number:02}"
    return {
        "buckets": 100,
        "rows_moved": 1_000,
        "bytes_planned": 2_000_000,
        "pause_ms_max": 10.0 + number,
        "planned_at": "2026-11-23 10:00:00+00:00",
        "copying_at": f"{minute}:00.500+00:00",
        "following_at": f"{minute}:10.500+00:00",
        "switched_at": f"{minute}:15.500+00:00",
        "ended_at": f"2026-11-23 10:05:{number:02}+00:00",
    } | other


def test_a_plan_is_the_sum_of_its_moves() -> None:
    moved = sum_up([status(1), status(2)])
    assert moved == Moved(2, 200, 2_000, 4.0, 135.5, 302.0, 12.0, unended=0)
    assert moved.mb_per_second == pytest.approx(4 / 135.5)


def test_moves_that_have_not_ended_are_told_apart() -> None:
    stuck = status(2, rows_moved=None, pause_ms_max=None, switched_at=None, ended_at=None)
    assert sum_up([status(1), stuck]) == Moved(2, 200, 1_000, 4.0, 75.5, 301.0, 11.0, unended=1)
    assert sum_up([]) == Moved(0, 0, 0, 0.0, 0.0, 0.0, 0.0, unended=0)


def test_the_mover_did_this_and_that() -> None:
    at_ten = 1_795_428_000.0
    stuck = status(2, following_at=None, switched_at=None, ended_at=None)
    assert find_spans([status(1), stuck], clock_s=at_ten) == {
        "while rows are copied": [(60.5, 70.5)],
        "while buckets are compared and switched": [(70.5, 75.5)],
        "while copies are cleaned up": [(75.5, 301.0)],
    }
    assert find_spans([stuck], clock_s=at_ten)["while copies are cleaned up"] == []


# --- How it is judged and shown


def times(p99_ms: float, failed: int = 0) -> Latencies:
    return Latencies(1_000, 10.0, 100.0, 2.0, p99_ms, 40.0, 1.5, failed)


GOOD = Resharded(
    players=100,
    sessions=500,
    rate_wanted=2_000,
    rate=1_000,
    sustained=True,
    too_fast={2_000: "p99 300 ms"},
    submissions={BEFORE: times(10.0), DURING: times(20.0), AFTER: times(10.0)},
    ranks={BEFORE: times(5.0), DURING: times(5.0), AFTER: times(5.0)},
    first_failure="",
    cores={BEFORE: {"load": 0.1, "api": 0.5}, AFTER: {"api": 0.5}},
    moved=Moved(2, 200, 2_000, 4.0, 8.0, 10.0, 49.9, unended=0),
    acknowledged=40,
    unanswered=2,
    sessions_found=542,
    is_verified=True,
    shards_verified="well",
    ranks_verified="well, too",
)


def judged(found: Resharded) -> list[bool]:
    """Moves, pause, p99, failures, sessions, verified."""
    return [goal.met for goal in judge_reshard(found)]


def test_a_growth_that_nobody_notices_meets_all_goals() -> None:
    assert judged(GOOD) == [True] * 6


def test_each_goal_is_missed_by_its_own_figure() -> None:
    slow = GOOD.submissions | {DURING: times(20.1)}
    failed = GOOD.ranks | {DURING: times(5.0, failed=1)}
    assert judged(replace(GOOD, moved=replace(GOOD.moved, pause_ms_max=50.0))) == [True, False, True, True, True, True]
    assert judged(replace(GOOD, submissions=slow)) == [True, True, False, True, True, True]
    assert judged(replace(GOOD, ranks=failed)) == [True, True, True, False, True, True]
    assert judged(replace(GOOD, sessions_found=539)) == [True, True, True, True, False, True]
    assert judged(replace(GOOD, sessions_found=543)) == [True, True, True, True, False, True]
    assert judged(replace(GOOD, is_verified=False)) == [True, True, True, True, True, False]


@pytest.mark.parametrize(
    "broken",
    [
        replace(GOOD, trouble="it ended with 1"),
        replace(GOOD, moved=replace(GOOD.moved, unended=1)),
        replace(GOOD, moved=sum_up([])),
    ],
)
def test_what_was_not_moved_did_not_pause_for_a_short_time(broken: Resharded) -> None:
    assert judged(broken) == [False, False, True, True, True, True]


def test_the_tables() -> None:
    said, latencies, moved, cores, verified = describe_reshard(GOOD)
    assert said == (
        "From 4 to 6 shards under load, 100 players and 500 sessions in place. Not 2,000 submissions a second "
        "(p99 300 ms). 1,000 submissions a second, which the machine sustained before the move."
    )
    assert latencies.splitlines()[3] == (
        "| submissions during         | 10.0 |   100 |    2.0 |   20.0 |   40.0 |              1.5 |      0 |"
    )
    assert moved.splitlines()[2] == (
        "| 2     |     200 | 2,000 |   4 |              8.0 |             10.0 |  0.5 |             49.9 |"
    )
    assert cores.splitlines()[2:] == ["| before          | 0.10 | 0.50 |", "| after           | 0.00 | 0.50 |"]
    assert verified == "`shardboard shards verify`: well\n\n`shardboard ranks verify`: well, too"


def test_a_rate_that_was_never_sustained_and_what_went_wrong_are_said() -> None:
    parts = describe_reshard(replace(GOOD, sustained=False, rate=250, trouble="it ended with 1", first_failure="503"))
    assert parts[0].endswith("250 submissions a second all the same: the machine sustained none of these.")
    assert parts[4:6] == ["What went wrong: it ended with 1", "The first request that failed: `503`"]
