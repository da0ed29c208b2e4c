"""What one watcher is given, whatever it is offered in between."""

from __future__ import annotations

import asyncio

import pytest

from domain.errors import Unavailable
from domain.standing import Top
from service.watcher import Watcher
from tests.factories import INSTANT, make_row
from tests.ranking import plain


def top(sequence: int, *totals: int) -> Top:
    return Top(
        "global", sequence, plain.standings([make_row(user, total) for user, total in enumerate(totals)]), INSTANT
    )


def has_news(watcher: Watcher) -> bool:
    """Whether it would be given something without waiting."""
    step = watcher.__anext__()
    try:
        step.send(None)
    except StopIteration:
        return True
    step.close()
    return False


async def test_the_newest_is_given_and_nothing_older() -> None:
    watcher = Watcher(10, 0)
    for sequence in range(1, 6):
        watcher.offer(top(sequence, sequence))
    assert await anext(watcher) == top(5, 5)
    assert not has_news(watcher)


async def test_what_looks_the_same_is_not_given_again() -> None:
    watcher = Watcher(10, 0)
    watcher.offer(top(1, 10, 5))
    assert await anext(watcher) == top(1, 10, 5)
    watcher.offer(top(2, 10, 5))
    assert not has_news(watcher)
    watcher.offer(top(3, 10, 6))
    assert await anext(watcher) == top(3, 10, 6)


async def test_who_was_too_slow_to_see_a_state_that_went_again_is_told_nothing() -> None:
    watcher = Watcher(10, 0)
    watcher.offer(top(1, 10))
    await anext(watcher)
    watcher.offer(top(2, 20))
    watcher.offer(top(3, 10))
    assert not has_news(watcher)
    watcher.offer(top(4, 20))
    assert await anext(watcher) == top(4, 20)


async def test_a_lower_number_is_never_given() -> None:
    watcher = Watcher(10, 0)
    watcher.offer(top(7, 10))
    await anext(watcher)
    watcher.offer(top(6, 20))
    watcher.offer(top(7, 20))
    assert not has_news(watcher)


async def test_one_that_waits_is_woken() -> None:
    watcher = Watcher(10, 0)
    waiting = asyncio.ensure_future(anext(watcher))
    await asyncio.sleep(0)
    assert not waiting.done()
    watcher.offer(top(1, 10))
    assert await waiting == top(1, 10)


async def test_one_that_is_given_up_waiting_loses_nothing() -> None:
    watcher = Watcher(10, 0)
    waiting = asyncio.ensure_future(anext(watcher))
    await asyncio.sleep(0)
    waiting.cancel()
    watcher.offer(top(1, 10))
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await anext(watcher) == top(1, 10)


async def test_a_failure_is_told_once_and_ends_it() -> None:
    watcher = Watcher(10, 0)
    watcher.fail("shard2 does not answer")
    with pytest.raises(Unavailable, match="shard2 does not answer"):
        await anext(watcher)
    assert [each async for each in watcher] == []


async def test_the_end_comes_at_once() -> None:
    watcher = Watcher(10, 0)
    watcher.offer(top(1, 10))
    watcher.end()
    assert [each async for each in watcher] == []
