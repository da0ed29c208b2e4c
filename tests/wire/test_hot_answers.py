from __future__ import annotations

import asyncio

import pytest

from wire import hot_answers
from wire.hot_answers import HotAnswers, Render


class Board:
    """A board whose version a test moves, and an answer that says how often it was made."""

    def __init__(self) -> None:
        self.version = 1
        self.made = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    def version_of(self, _board: str) -> int:
        return self.version

    async def make(self) -> Render[bytes]:
        self.made += 1
        made = self.made
        await self.go_on.wait()
        return lambda cached: b"%d cached=%d" % (made, cached)


async def test_the_first_answer_says_that_it_was_made_and_the_later_ones_that_they_were_kept() -> None:
    board = Board()
    answers = HotAnswers[bytes](board.version_of)
    assert answers.find(b"key") is None
    assert await answers.answer(b"key", "global", board.make) == b"1 cached=0"
    assert answers.find(b"key") == b"1 cached=1"
    assert answers.find(b"other") is None


async def test_a_change_of_the_board_ends_what_was_kept() -> None:
    board = Board()
    answers = HotAnswers[bytes](board.version_of)
    await answers.answer(b"key", "global", board.make)
    board.version += 1
    assert answers.find(b"key") is None
    assert await answers.answer(b"key", "global", board.make) == b"2 cached=0"


async def test_what_was_read_while_the_board_changed_is_not_shown_again() -> None:
    board = Board()
    board.go_on.clear()
    answers = HotAnswers[bytes](board.version_of)
    reading = asyncio.create_task(answers.answer(b"key", "global", board.make))
    await asyncio.sleep(0)
    board.version += 1
    board.go_on.set()
    assert await reading == b"1 cached=0"
    assert answers.find(b"key") is None


async def test_an_answer_ages_even_when_no_change_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(hot_answers, "monotonic", lambda: now)
    board = Board()
    answers = HotAnswers[bytes](board.version_of)
    await answers.answer(b"key", "global", board.make)
    now += hot_answers.AGE_MAX_S
    assert answers.find(b"key") == b"1 cached=1"
    now += 0.001
    assert answers.find(b"key") is None


async def test_all_who_ask_at_the_same_time_get_the_same_answer_made_once() -> None:
    board = Board()
    board.go_on.clear()
    answers = HotAnswers[bytes](board.version_of)
    waiting = [asyncio.create_task(answers.answer(b"key", "global", board.make)) for _ in range(10)]
    await asyncio.sleep(0)
    board.go_on.set()
    assert await asyncio.gather(*waiting) == [b"1 cached=0"] * 10


async def test_who_asks_after_a_change_does_not_join_an_answer_begun_before_it() -> None:
    board = Board()
    board.go_on.clear()
    answers = HotAnswers[bytes](board.version_of)
    before = asyncio.create_task(answers.answer(b"key", "global", board.make))
    await asyncio.sleep(0)
    board.version += 1
    after = asyncio.create_task(answers.answer(b"key", "global", board.make))
    await asyncio.sleep(0)
    board.go_on.set()
    assert [await before, await after] == [b"1 cached=0", b"2 cached=0"]
    assert answers.find(b"key") == b"2 cached=1"


async def test_when_the_one_who_makes_the_answer_is_cancelled_another_makes_it() -> None:
    board = Board()
    board.go_on.clear()
    answers = HotAnswers[bytes](board.version_of)
    maker = asyncio.create_task(answers.answer(b"key", "global", board.make))
    await asyncio.sleep(0)
    waiter = asyncio.create_task(answers.answer(b"key", "global", board.make))
    await asyncio.sleep(0)
    maker.cancel()
    board.go_on.set()
    assert await waiter == b"2 cached=0"


async def test_an_answer_with_errors_is_not_kept() -> None:
    async def failed() -> bytes:
        return b"errors"

    answers = HotAnswers[bytes](Board().version_of)
    assert await answers.answer(b"key", "global", failed) == b"errors"
    assert answers.find(b"key") is None


async def test_the_least_used_answers_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot_answers, "ENTRIES_MAX", 2)
    board = Board()
    answers = HotAnswers[bytes](board.version_of)
    await answers.answer(b"a", "global", board.make)
    await answers.answer(b"b", "global", board.make)
    answers.find(b"a")
    await answers.answer(b"c", "global", board.make)
    assert [answers.find(key) is not None for key in (b"a", b"b", b"c")] == [True, False, True]


async def test_the_kept_answers_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot_answers, "BYTES_MAX", 50)
    board = Board()
    answers = HotAnswers[bytes](board.version_of)
    await answers.answer(b"a", "global", board.make)  # 1 byte of key and twice 10 of body
    await answers.answer(b"b", "global", board.make)
    await answers.answer(b"c", "global", board.make)
    assert [answers.find(key) is not None for key in (b"a", b"b", b"c")] == [False, True, True]
