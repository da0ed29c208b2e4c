"""Watchers see a board's top at once and whenever it changed, on every process, and pay for it together."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime
from itertools import groupby

import pytest

from domain.errors import BadUserInput, NotFound
from domain.standing import Top
from infra.local.cluster import LocalCluster
from ranking.projection import Projection
from service import board_watch
from service.board_watch import READ_PAUSE_S
from service.parts import Parts
from service.read_top import read_top
from service.submit import submit_score, submit_scores
from service.watch import watch_top
from service.watcher import Watcher
from tests.factories import make_row, make_submission, opened_parts
from tests.service.test_signals import listeners
from tests.service.watching import agree, is_quiet, watching
from tests.waiting import until


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many standings each read of the top asked for."""
    sizes: list[int] = []
    top = Projection.top

    async def counted(self: Projection, first: int, known: int, *, at_hand: bool) -> Top | None:
        sizes.append(first)
        return await top(self, first, known, at_hand=at_hand)

    monkeypatch.setattr(Projection, "top", counted)
    yield sizes
    monkeypatch.undo()


async def fill(parts: Parts, count: int) -> None:
    """Players 0, 1, 2, … with totals 1000, 999, 998, …"""
    await submit_scores(parts, [make_submission(user, 1000 - user) for user in range(count)])


async def test_the_present_state_comes_first_and_then_each_change(parts: Parts) -> None:
    await submit_score(parts, make_submission(1, 10))
    async with aclosing(watch_top(parts, "global", 2)) as tops:
        before = datetime.now(UTC)
        first = await anext(tops)
        assert (first.board, first.entries) == ("global", (await read_top(parts, "global", 2, None)).standings)
        assert before <= first.as_of <= datetime.now(UTC)
        ada = await submit_score(parts, make_submission(2, 30, username="Ada"))
        second = await anext(tops)
        assert second.sequence > first.sequence
        assert second.entries[0] == ada.standing
        assert [(s.rank, s.user_id, s.percentile) for s in second.entries] == [(1, 2, 100.0), (2, 1, 50.0)]
        await submit_score(parts, make_submission(3, 20))
        third = await anext(tops)
        assert third.sequence > second.sequence
        assert [(s.rank, s.user_id) for s in third.entries] == [(1, 2), (2, 3)]


async def test_a_total_that_goes_down_and_a_new_name_are_changes(parts: Parts) -> None:
    await fill(parts, 3)
    async with watching(parts, 3) as seen:
        await seen.until_shows((0, 1000), (1, 999), (2, 998))
        await submit_score(parts, make_submission(0, -10))
        await seen.until_shows((1, 999), (2, 998), (0, 990))
        await submit_score(parts, make_submission(2, 0, username="Grace"))
        top = await seen.until_count(3)
        assert [s.username for s in top.entries] == ["player 1", "Grace", "player 0"]


async def test_nothing_is_shown_when_the_top_as_shown_did_not_change(parts: Parts) -> None:
    await fill(parts, 10)
    async with watching(parts, 3) as seen, watching(parts, 10) as more:
        await seen.until_count(1)
        for _ in range(3):
            await submit_score(parts, make_submission(9, -1))
            await until(lambda: is_quiet(more))
        # Their shares of the players change with a new one, wherever that one stands.
        await submit_score(parts, make_submission(77, -5000))
        await until(lambda: len(seen.tops) == 2)
        assert [s.percentile for s in seen.last.entries] == [100.0, 1000 / 11, 900 / 11]
        await more.until_count(5)
    assert len(seen.tops) == 2
    assert len(more.tops) == 5


async def test_a_change_in_one_process_is_seen_in_all_under_one_number(ready: LocalCluster, parts: Parts) -> None:
    async with opened_parts(ready) as other, watching(parts, 5) as ours, watching(other, 3) as theirs:
        await ours.until_shows()
        await theirs.until_shows()
        async with watching(other, 5) as same:
            await same.until_shows()
            for number in range(1, 25):
                await submit_score((parts, other)[number % 2], make_submission(number % 4, number))
            await until(lambda: ours.shows((0, 84), (3, 78), (2, 72), (1, 66)))
            await until(lambda: same.last.sequence == ours.last.sequence == theirs.last.sequence)
            assert same.last.entries == ours.last.entries
            assert theirs.last.entries == ours.last.entries[:3]
        assert agree(ours, same)


async def test_of_a_burst_few_states_are_shown_and_the_last_is_the_truth(parts: Parts) -> None:
    loop = asyncio.get_running_loop()
    async with watching(parts) as seen, watching(parts, 100) as more:
        await until(lambda: bool(seen.tops and more.tops))
        began = loop.time()
        for number in range(300):
            await submit_score(parts, make_submission(number % 20, number))
        took = loop.time() - began
        truth = await read_top(parts, "global", 100, None)
        await until(lambda: more.last.entries == truth.standings)
        assert seen.last.entries == truth.standings[:10]
    for each in (seen, more):
        # Each but the snapshot came a pause after the one before; a few milliseconds may be lost before one was noted.
        assert min(each.spacings()[1:]) > READ_PAUSE_S * 0.6
        assert 3 <= len(each.tops) <= 3 + took / READ_PAUSE_S


async def test_a_change_after_quiet_is_shown_at_once(ready: LocalCluster, parts: Parts) -> None:
    loop = asyncio.get_running_loop()
    took: list[float] = []
    async with opened_parts(ready) as other, watching(other) as seen:
        for number in range(1, 8):
            await until(lambda: is_quiet(seen))
            await submit_score(parts, make_submission(1, 1))
            acknowledged = loop.time()
            await seen.until_count(number + 1)
            took.append(seen.times[number] - acknowledged)
    # The middle one, as a busy machine may stop a process at any moment.
    assert sorted(took)[3] < READ_PAUSE_S / 2


async def test_who_writes_and_then_watches_sees_the_write_first(ready: LocalCluster, parts: Parts) -> None:
    async with opened_parts(ready) as other, watching(parts):
        busy = True

        async def keep_busy() -> None:
            while busy:
                await submit_score(other, make_submission(5, 1))

        task = asyncio.create_task(keep_busy())
        for number in range(1, 16):
            await submit_score(parts, make_submission(1, 1_000_000))
            async with aclosing(watch_top(parts, "global", 1)) as tops:
                assert (await anext(tops)).entries[0].total_score == number * 1_000_000
        busy = False
        await task


async def test_a_watcher_that_wants_more_gets_it_and_those_who_want_less_are_cut_from_it(
    parts: Parts, reads: list[int]
) -> None:
    await fill(parts, 60)
    async with watching(parts, 2) as two:
        await two.until_count(1)
        async with watching(parts, 50) as fifty:
            assert len((await fifty.until_count(1)).entries) == 50
            async with watching(parts, 7) as seven:
                assert (await seven.until_count(1)).entries == fifty.last.entries[:7]
            assert _changes_of(reads) == [2, 50]
            await submit_score(parts, make_submission(1, 500))
            await until(lambda: len(two.tops) == len(fifty.tops) == 2)
            assert two.last.entries == fifty.last.entries[:2]
            assert _changes_of(reads) == [2, 50]
    assert len(two.tops) == 2


def _changes_of(sizes: list[int]) -> list[int]:
    """Without repetitions: the relay may call a change what it found on its way, and cause one more read."""
    return [size for size, _ in groupby(sizes)]


async def test_a_slow_watcher_gets_the_newest_and_holds_up_nobody(parts: Parts) -> None:
    async with watching(parts, 1) as quick, aclosing(watch_top(parts, "global", 1)) as slow:
        await quick.until_shows()
        assert (await anext(slow)).entries == []
        for total in range(1, 6):
            await submit_score(parts, make_submission(1, 1))
            await quick.until_shows((1, total))
        assert await anext(slow) == quick.last
        waiting = asyncio.ensure_future(anext(slow))
        await submit_score(parts, make_submission(1, 1))
        await quick.until_shows((1, 6))
        assert await waiting == quick.last


async def test_ten_thousand_who_come_at_once_cost_a_handful_of_reads(
    ready: LocalCluster, parts: Parts, reads: list[int]
) -> None:
    await fill(parts, 20)
    async with AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(parts.watches.of("global", 1 + n % 20)) for n in range(10_000)]
        tops = await asyncio.gather(*(anext(watcher) for watcher in watchers))
        assert [len(top.entries) for top in tops] == [1 + n % 20 for n in range(10_000)]
        assert len(reads) <= 3
        await submit_score(parts, make_submission(7, 5000))
        tops = await asyncio.gather(*(anext(watcher) for watcher in watchers))
        assert {top.entries[0].total_score for top in tops} == {5993}
        assert len({top.sequence for top in tops}) == 1
        assert len(reads) <= 6
        assert set(reads) == {20}
        assert await listeners(ready) == 1


async def test_closed_watches_leave_nothing_behind(ready: LocalCluster, parts: Parts) -> None:
    await fill(parts, 20)
    before = asyncio.all_tasks()

    async def watch(number: int) -> None:
        async with aclosing(watch_top(parts, "global", 1 + number % 100)) as tops:
            await anext(tops)
            if number % 3 == 0:
                return
            await anext(tops)

    tasks = [asyncio.create_task(watch(number)) for number in range(1000)]
    await until(lambda: sum(task.done() for task in tasks) == 334)
    for number, task in enumerate(tasks):
        if number % 3 == 1:
            task.cancel()
    await until(lambda: sum(task.done() for task in tasks) == 667)
    await submit_score(parts, make_submission(1, 5000))
    await asyncio.wait(tasks)
    assert {task.exception() for task in tasks if not task.cancelled()} == {None}
    # What works in the background sends now and then, each time in a task that ends at once.
    await until(lambda: asyncio.all_tasks() <= before)
    tasks.clear()
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Watcher)]
    assert not [each for each in gc.get_objects() if isinstance(each, Top)]
    assert await listeners(ready) == 1
    # And it begins again.
    async with watching(parts, 1) as seen:
        await seen.until_shows((1, 5999))


async def test_news_that_got_lost_is_found_in_time(
    ready: LocalCluster, parts: Parts, monkeypatch: pytest.MonkeyPatch, reads: list[int]
) -> None:
    monkeypatch.setattr(board_watch, "BACKSTOP_S", 0.5)
    async with watching(parts) as seen:
        await seen.until_shows()
        async with opened_parts(ready, background=False) as silent:
            await silent.projection.apply_all([make_row(1, 10)])
            await seen.until_shows((1, 10), seconds_max=3.0)
            looks = len(reads)
            await until(lambda: len(reads) > looks + 1)
    assert len(seen.tops) == 2


async def test_what_cannot_be_watched_is_refused(parts: Parts) -> None:
    for board, first, error in (("nowhere", 10, NotFound), ("global", 0, BadUserInput), ("global", 101, BadUserInput)):
        async with aclosing(watch_top(parts, board, first)) as tops:
            with pytest.raises(error):
                await anext(tops)


async def test_the_end_of_the_service_ends_every_watch(ready: LocalCluster) -> None:
    async with opened_parts(ready) as parts, watching(parts) as seen:
        await seen.until_count(1)
        await parts.watches.close()
        await until(lambda: seen.has_ended)
        assert [top async for top in watch_top(parts, "global", 10)] == []


async def test_nothing_is_read_while_nobody_watches(parts: Parts, reads: list[int]) -> None:
    async with watching(parts) as seen:
        await seen.until_count(1)
    looks = len(reads)
    for _ in range(20):
        await submit_score(parts, make_submission(1, 1))
    assert len(reads) == looks
    async with watching(parts) as seen:
        await seen.until_shows((1, 20))
    assert len(reads) > looks
