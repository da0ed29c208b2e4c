from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from domain.errors import Unavailable
from domain.resilience import limits
from domain.resilience.backoff import Backoff
from domain.resilience.breaker import Breaker, State
from tests.waiting import until

RESTS = Backoff(0.001, 0.001)


class Part:
    """Answers a probe when it is told to, and counts."""

    def __init__(self) -> None:
        self.probes = 0
        self.under_way = 0
        self.under_way_max = 0
        self._answer: asyncio.Future[None] | None = None
        self.is_back = False

    async def probe(self) -> None:
        self.probes += 1
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        try:
            if self.is_back:
                return
            self._answer = asyncio.get_running_loop().create_future()
            await self._answer
        finally:
            self.under_way -= 1

    def answer(self, error: Exception | None = None) -> None:
        assert self._answer is not None
        if error is None:
            self._answer.set_result(None)
        else:
            self._answer.set_exception(error)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def part() -> Part:
    return Part()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def breaker(part: Part, clock: Clock) -> AsyncIterator[Breaker]:
    breaker = Breaker("the part", part.probe, lambda: Unavailable("away", 1), probe_s_max=60, rests=RESTS, clock=clock)
    yield breaker
    await breaker.close()


async def open_it(breaker: Breaker, part: Part) -> None:
    breaker.doubt()
    await until(lambda: part.under_way == 1)
    part.answer(ConnectionRefusedError())
    await until(lambda: breaker.state is State.HALF_OPEN and part.under_way == 1)


async def test_while_it_is_doubted_callers_go_on(breaker: Breaker, part: Part) -> None:
    breaker.doubt()
    await until(lambda: part.under_way == 1)
    assert breaker.state is State.DOUBTED
    breaker.require()


async def test_it_opens_only_when_the_probe_fails_too(breaker: Breaker, part: Part) -> None:
    breaker.doubt()
    await until(lambda: part.under_way == 1)
    part.answer()
    await until(lambda: breaker.state is State.CLOSED)
    breaker.require()
    assert part.probes == 1


async def test_open_it_refuses_at_once(breaker: Breaker, part: Part) -> None:
    await open_it(breaker, part)
    with pytest.raises(Unavailable, match="away") as caught:
        breaker.require()
    assert caught.value.retry_after_s == 1


async def test_one_probe_at_a_time_whoever_doubts(breaker: Breaker, part: Part) -> None:
    await open_it(breaker, part)
    for _ in range(5):
        breaker.doubt()
        part.answer(ConnectionRefusedError())
        probes = part.probes
        await until(lambda probes=probes: part.probes == probes + 1)  # type: ignore[misc]
    assert part.under_way_max == 1


async def test_it_closes_when_a_probe_is_answered(breaker: Breaker, part: Part) -> None:
    await open_it(breaker, part)
    part.answer()
    await until(lambda: breaker.state is State.CLOSED)
    breaker.require()


async def test_a_probe_that_hangs_has_failed(part: Part) -> None:
    breaker = Breaker("the part", part.probe, lambda: Unavailable("away"), rests=RESTS, probe_s_max=0.01)
    breaker.doubt()
    await until(lambda: part.probes >= 3)
    assert breaker.state in (State.OPEN, State.HALF_OPEN)
    part.is_back = True
    await until(lambda: breaker.state is State.CLOSED)


async def test_a_part_that_answers_a_call_meanwhile_is_not_away(breaker: Breaker, part: Part) -> None:
    breaker.doubt()
    await until(lambda: part.under_way == 1)
    breaker.answered()
    part.answer(TimeoutError())
    await until(lambda: breaker.state is State.CLOSED)
    breaker.require()


async def test_right_after_a_probe_nothing_is_doubted(breaker: Breaker, part: Part, clock: Clock) -> None:
    part.is_back = True
    breaker.doubt()
    await until(lambda: breaker.state is State.CLOSED)
    breaker.doubt()
    assert part.probes == 1
    clock.now += limits.DOUBT_REST_S
    breaker.doubt()
    await until(lambda: part.probes == 2)


async def test_who_waits_is_told_once_that_it_opened(breaker: Breaker, part: Part) -> None:
    told: list[str] = []
    breaker.watch(lambda error: told.append(str(error)))
    await open_it(breaker, part)
    part.answer(ConnectionRefusedError())
    await until(lambda: part.probes == 3)
    assert told == ["away"]


async def test_the_log_tells_once_of_each(breaker: Breaker, part: Part, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await open_it(breaker, part)
    part.answer(ConnectionRefusedError())
    await until(lambda: part.probes == 3)
    part.answer()
    await until(lambda: breaker.state is State.CLOSED)
    assert [record.getMessage() for record in caplog.records] == [
        "the part does not answer (ConnectionRefusedError()); who needs it is told so until it does",
        "the part answers again",
    ]
