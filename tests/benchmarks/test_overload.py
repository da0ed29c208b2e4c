"""How the benchmark of overload tells answers apart, and judges; no load."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

from benchmarks.goals import judge_overload
from benchmarks.overload.generator import Phase
from benchmarks.overload.measure import Overloaded
from benchmarks.overload.stream import Count, SheddingStream
from benchmarks.overload.tables import describe_overload
from benchmarks.reshard.schedule import Schedule
from tests.waiting import until

GOOD = b'HTTP/1.1 200 OK\r\ncontent-length: 27\r\n\r\n{"totalScore":1,"rank": 12}'
REFUSED = json.dumps({"errors": [{"message": "later", "extensions": {"code": "UNAVAILABLE", "retryAfter": 1}}]})
SHED = f"HTTP/1.1 503 Service Unavailable\r\ncontent-length: {len(REFUSED)}\r\nretry-after: 1\r\n\r\n{REFUSED}".replace(
    '"retryAfter": ', '"retryAfter":'
)
CALM = Phase(1000, 8, 8000, 0, 0, 0, "", 20.0, 60.0, 0.0, 0.0, 1.0)
OVER = Phase(6000, 8, 15000, 33000, 0, 0, "", 100.0, 330.0, 8.0, 33.0, 6.0)


def overloaded(before: Phase = CALM, over: Phase = OVER, after: Phase = CALM) -> Overloaded:
    phases = {"capacity": CALM, "before": before, "overload": over, "after": after, "later": CALM}
    return Overloaded(2000.0, 3.0, phases, "all the same")


def missed(found: Overloaded) -> list[str]:
    return [goal.found for goal in judge_overload(found) if not goal.met]


async def test_answers_are_told_apart() -> None:
    answers = [GOOD, SHED.encode(), SHED.replace("retry-after: 1\r\n", "").encode(), b"HTTP/1.1 500 x\r\n\r\n"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readexactly(4)
            body = answer.partition(b"\r\n\r\n")[2]
            head = answer.partition(b"\r\ncontent-length")[0].partition(b"\r\n\r\n")[0]
            extra = b"\r\nretry-after: 1" if b"\r\nretry-after" in answer else b""
            writer.write(head + extra + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    stream = SheddingStream(server.sockets[0].getsockname()[:2], Schedule(0.0, 1e6), lambda: b"send", 1)
    await stream.open()
    stream.begin(Schedule(0.0, 4.0))
    stream.send_due(0.9)
    await until(lambda: len(stream.samples) + len(stream.shed) == 4 * 3)
    count = stream.count()
    stream.end_closed()
    stream.close()
    server.close()
    assert count == Count(accepted=1, shed=2, wrong=1, blunt=1)


def test_a_service_that_sheds_quickly_and_is_itself_again_meets_every_goal() -> None:
    assert missed(overloaded()) == []


def test_each_way_to_fail_is_a_goal_missed() -> None:
    assert missed(overloaded(over=replace(OVER, p99_ms=500.0))) == ["500 ms"]
    assert missed(overloaded(over=replace(OVER, accepted=12_000))) == ["0.75"]
    assert missed(overloaded(over=replace(OVER, shed_p99_ms=120.0))) == ["120 ms"]
    assert missed(overloaded(over=replace(OVER, wrong=1, blunt=2))) == ["3 such"]
    assert missed(overloaded(before=replace(CALM, shed=4))) == ["4 shed"]
    assert missed(overloaded(after=replace(CALM, p99_ms=150.0))) == ["2.5 ×"]


def test_the_report_has_a_line_for_each_phase() -> None:
    _, table, _ = describe_overload(overloaded())
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == [
        "capacity",
        "before",
        "overload",
        "after",
        "later",
    ]
