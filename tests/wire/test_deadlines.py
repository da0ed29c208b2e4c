from __future__ import annotations

import asyncio

import pytest

from domain.errors import Unavailable
from wire.deadlines import Deadlines

MESSAGE = (
    "The request took longer than 0.05 s and was given up; "
    "what it wrote may have been recorded, so retry it with the same submissionId."
)


async def test_what_is_done_in_time_is_left_alone() -> None:
    deadlines = Deadlines(0.05)

    async def work(value: int) -> int:
        await asyncio.sleep(0)
        return value

    assert await asyncio.gather(*(deadlines.within(work(n)) for n in range(5))) == [0, 1, 2, 3, 4]


async def test_what_takes_too_long_is_cancelled_and_the_task_goes_on() -> None:
    deadlines = Deadlines(0.05)
    cancelled = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def request() -> str:
        with pytest.raises(Unavailable) as caught:
            await deadlines.within(work())
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return str(caught.value)

    assert await asyncio.gather(*(asyncio.create_task(request()) for _ in range(3))) == [MESSAGE] * 3
    assert cancelled == [True] * 3


async def test_an_error_of_the_work_itself_passes() -> None:
    async def work() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await Deadlines(0.05).within(work())


async def test_a_cancellation_from_outside_stays_one() -> None:
    deadlines = Deadlines(5)
    task = asyncio.create_task(deadlines.within(asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_that_ends_in_spite_of_being_cancelled_counts() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done"
        raise AssertionError

    async def request() -> tuple[str, int]:
        done = await Deadlines(0.05).within(stubborn())
        task = asyncio.current_task()
        assert task is not None
        return done, task.cancelling()

    assert await asyncio.create_task(request()) == ("done", 0)
