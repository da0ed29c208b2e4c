from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from domain.coalescer import Coalescer, Gate
from domain.errors import BadUserInput, Unavailable
from tests.waiting import until


class Turnstile:
    """A flush that answers each item with its double, once the test lets the batch pass."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.under_way = 0
        self.under_way_max = 0
        self._passes = asyncio.Semaphore(0)

    def let_pass(self, batches: int = 1) -> None:
        for _ in range(batches):
            self._passes.release()

    async def flush(self, batch: list[int]) -> Sequence[int | Exception]:
        self.batches.append(batch)
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        try:
            await self._passes.acquire()
        finally:
            self.under_way -= 1
        return [2 * item for item in batch]


def make(flush: Any, *, slots: int = 1, batch_max: int = 10, queue_max: int = 100) -> Coalescer[int, int]:
    return Coalescer(flush, name="Shard x", work="count", slots=slots, batch_max=batch_max, queue_max=queue_max)


async def one_tick() -> None:
    await asyncio.sleep(0)


async def test_what_comes_in_one_tick_goes_out_together() -> None:
    gate = Turnstile()
    coalescer = make(gate.flush)
    gate.let_pass()
    futures = [coalescer.put(i) for i in range(5)]
    assert await asyncio.gather(*futures) == [0, 2, 4, 6, 8]
    assert gate.batches == [[0, 1, 2, 3, 4]]


async def test_what_comes_while_the_slot_is_busy_makes_the_next_batch() -> None:
    gate = Turnstile()
    coalescer = make(gate.flush)
    first = coalescer.put(0)
    await one_tick()
    rest = [coalescer.put(i) for i in range(1, 4)]
    await one_tick()
    assert gate.batches == [[0]]
    assert coalescer.waiting == 3
    gate.let_pass(2)
    assert await asyncio.gather(first, *rest) == [0, 2, 4, 6]
    assert gate.batches == [[0], [1, 2, 3]]


async def test_a_batch_never_holds_more_than_its_limit() -> None:
    gate = Turnstile()
    coalescer = make(gate.flush, slots=2, batch_max=10)
    futures = [coalescer.put(i) for i in range(37)]
    await one_tick()
    await one_tick()
    assert gate.batches == [list(range(10)), list(range(10, 20))]
    gate.let_pass(4)
    assert await asyncio.gather(*futures) == [2 * i for i in range(37)]
    assert [len(batch) for batch in gate.batches] == [10, 10, 10, 7]
    assert gate.under_way_max == 2


async def test_one_more_than_the_queue_holds_is_refused_at_once() -> None:
    gate = Turnstile()
    coalescer = make(gate.flush, queue_max=3)
    first = coalescer.put(0)
    await one_tick()
    waiting = [coalescer.put(i) for i in range(1, 4)]
    with pytest.raises(Unavailable, match="Shard x has more work waiting than it can do"):
        coalescer.put(4)
    gate.let_pass(2)
    assert await asyncio.gather(first, *waiting) == [0, 2, 4, 6]
    assert gate.batches == [[0], [1, 2, 3]]


async def test_what_nobody_waits_for_any_more_is_not_sent() -> None:
    gate = Turnstile()
    coalescer = make(gate.flush)
    first = coalescer.put(0)
    await one_tick()
    gone, stays = coalescer.put(1), coalescer.put(2)
    gone.cancel()
    gate.let_pass(2)
    assert (await first, await stays) == (0, 4)
    assert gate.batches == [[0], [2]]


async def test_a_caller_that_leaves_takes_nothing_from_its_neighbours() -> None:
    gate = Turnstile()
    coalescer = make(gate.flush)
    gone, stays = coalescer.put(1), coalescer.put(2)
    await one_tick()
    gone.cancel()
    gate.let_pass()
    assert await stays == 4
    assert gate.batches == [[1, 2]]
    await coalescer.drained()


async def test_an_error_answered_for_one_item_is_that_items_alone() -> None:
    async def flush(batch: list[int]) -> Sequence[int | Exception]:
        return [BadUserInput(f"no {item}") if item == 1 else item for item in batch]

    coalescer = make(flush)
    assert [str(each) for each in await asyncio.gather(*map(coalescer.put, range(3)), return_exceptions=True)] == [
        "0",
        "no 1",
        "2",
    ]


async def test_an_error_that_the_flush_raises_is_every_items_and_the_next_batch_goes_on() -> None:
    fails = True

    async def flush(batch: list[int]) -> Sequence[int | Exception]:
        if fails:
            raise Unavailable("away")
        return batch

    coalescer = make(flush)
    answers = await asyncio.gather(*map(coalescer.put, range(3)), return_exceptions=True)
    assert [(type(each), str(each)) for each in answers] == [(Unavailable, "away")] * 3
    fails = False
    assert await coalescer.put(7) == 7


async def test_a_flush_that_answers_too_few_leaves_nobody_waiting() -> None:
    async def flush(batch: list[int]) -> Sequence[int | Exception]:
        return batch[:-1]

    coalescer = make(flush)
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*map(coalescer.put, range(3)), return_exceptions=True)
    assert [type(each) for each in answers] == [ValueError] * 3
    await coalescer.drained()


async def test_drained_waits_for_the_last_answer() -> None:
    gate = Turnstile()
    coalescer = make(gate.flush)
    await coalescer.drained()
    futures = [coalescer.put(0)]
    await one_tick()
    futures.append(coalescer.put(1))
    drained = asyncio.ensure_future(coalescer.drained())
    gate.let_pass()
    await futures[0]
    await one_tick()
    assert not drained.done()
    gate.let_pass()
    await drained
    assert [future.result() for future in futures] == [0, 2]


async def test_drained_returns_when_all_that_waited_have_left() -> None:
    gate = Turnstile()
    coalescer = make(gate.flush)
    future = coalescer.put(0)
    future.cancel()
    async with asyncio.timeout(5):
        await coalescer.drained()
    assert gate.batches == []


async def test_a_hundred_callers_with_random_delays_get_each_their_own() -> None:
    async def flush(batch: list[int]) -> Sequence[int | Exception]:
        for _ in range(len(batch) % 3):
            await one_tick()
        return [item + 1 for item in batch]

    coalescer = make(flush, slots=3, batch_max=7)

    async def caller(number: int) -> None:
        for i in range(20):
            for _ in range((number * i) % 5):
                await one_tick()
            assert await coalescer.put(number * 1000 + i) == number * 1000 + i + 1

    await asyncio.gather(*map(caller, range(100)))
    await coalescer.drained()
    assert coalescer.waiting == 0


async def test_a_gate_lets_so_many_flushes_of_all_coalescers_run_at_once() -> None:
    gate = Gate(1, lease_s=60)
    one, other = asyncio.Event(), asyncio.Event()
    order: list[str] = []

    def flush(name: str, go: asyncio.Event) -> Callable[[list[int]], Awaitable[list[int]]]:
        async def run(items: list[int]) -> list[int]:
            order.append(f"{name} begins with {len(items)}")
            await go.wait()
            order.append(f"{name} ends")
            return items

        return run

    first: Coalescer[int, int] = Coalescer(
        flush("first", one), name="A", work="hang", slots=1, batch_max=10, queue_max=10, gate=gate
    )
    second: Coalescer[int, int] = Coalescer(
        flush("second", other), name="B", work="answer", slots=1, batch_max=10, queue_max=10, gate=gate
    )
    waiting = [first.put(1)]
    await until(lambda: order == ["first begins with 1"])
    waiting += [second.put(2), second.put(3)]
    other.set()
    one.set()
    assert await asyncio.gather(*waiting) == [1, 2, 3]
    assert order == ["first begins with 1", "first ends", "second begins with 2", "second ends"]


async def test_a_flush_that_hangs_gives_up_its_place_in_the_gate() -> None:
    gate = Gate(1, lease_s=0.01)
    never = asyncio.Event()

    async def hang(items: list[int]) -> list[int]:
        await never.wait()
        return items

    async def answer(items: list[int]) -> list[int]:
        return items

    sick: Coalescer[int, int] = Coalescer(hang, name="A", work="hang", slots=1, batch_max=10, queue_max=10, gate=gate)
    well: Coalescer[int, int] = Coalescer(
        answer, name="B", work="answer", slots=1, batch_max=10, queue_max=10, gate=gate
    )
    stuck = sick.put(1)
    async with asyncio.timeout(10):
        for number in range(3):
            assert await well.put(number) == number
    assert not stuck.done()
    never.set()
    assert await stuck == 1


async def test_a_gate_can_be_made_wider_and_narrower() -> None:
    gate = Gate(1, lease_s=60)
    called: list[str] = []
    leave = gate.enter(lambda: called.append("first"))
    assert leave is not None
    assert gate.enter(lambda: called.append("second")) is None
    gate.set_width(2)
    assert called == ["second"]
    other = gate.enter(lambda: called.append("third"))
    assert other is not None
    # Both stay when only one may be in; the next comes in when both have left.
    gate.set_width(1)
    assert gate.enter(lambda: called.append("fourth")) is None
    leave()
    assert called == ["second"]
    other()
    assert called == ["second", "fourth"]
    last = gate.enter(lambda: called.append("fifth"))
    assert last is not None
    assert gate.enter(lambda: called.append("sixth")) is None
    last()
