from __future__ import annotations

import asyncio

import pytest

from domain.cursor import session_cursor, standing_cursor
from domain.errors import BadUserInput, NotFound
from domain.standing import Session
from service.parts import Parts
from service.read_history import read_history
from service.read_standing import read_around, read_standing, read_standings
from service.read_top import read_top
from service.submit import submit_score
from tests.factories import make_id, make_submission


async def test_history_is_read_page_by_page_newest_first(parts: Parts) -> None:
    submissions = [
        make_submission(7, number, id=make_id(seconds_ago=100 - number), game_mode="arena" if number % 3 else None)
        for number in range(12)
    ]
    await asyncio.gather(*(submit_score(parts, submission) for submission in submissions))
    await submit_score(parts, make_submission(8, 1))
    page = await read_history(parts, 7, 5, None, None)
    assert [session.score for session in page.sessions] == [11, 10, 9, 8, 7]
    assert (page.total_count, page.has_previous, page.has_next) == (12, False, True)
    assert page.sessions[2] == Session(submissions[9].id, 7, 9, None, None, page.sessions[2].played_at)
    scores = []
    after = None
    while True:
        page = await read_history(parts, 7, 5, after, "arena")
        scores += [session.score for session in page.sessions]
        assert (page.total_count, page.has_previous) == (12, after is not None)
        if not page.has_next:
            break
        after = session_cursor(7, page.sessions[-1].id)
    assert scores == [11, 10, 8, 7, 5, 4, 2, 1]


async def test_who_never_played_has_an_empty_history(parts: Parts) -> None:
    page = await read_history(parts, 12345, 20, None, None)
    assert (page.sessions, page.total_count, page.has_previous, page.has_next) == ([], 0, False, False)


@pytest.mark.parametrize("first", [0, -1, 101])
async def test_a_page_size_out_of_its_range_is_refused(parts: Parts, first: int) -> None:
    with pytest.raises(BadUserInput, match=f"first must lie between 1 and 100; got {first}"):
        await read_top(parts, "global", first, None)
    with pytest.raises(BadUserInput, match=f"first must lie between 1 and 100; got {first}"):
        await read_history(parts, 7, first, None, None)


async def test_a_cursor_of_something_else_is_refused(parts: Parts) -> None:
    recorded = await submit_score(parts, make_submission(7, 1))
    for after in ("", "forged", standing_cursor("weekly", 1, 7), session_cursor(7, recorded.session.id)):
        with pytest.raises(BadUserInput, match="after is not a cursor of board 'global'"):
            await read_top(parts, "global", 10, after)
    for after in ("", "forged", session_cursor(8, recorded.session.id), standing_cursor("global", 1, 7)):
        with pytest.raises(BadUserInput, match="after is not a cursor of the history of player 7"):
            await read_history(parts, 7, 10, after, None)


async def test_an_unknown_board_is_not_found(parts: Parts) -> None:
    for ask in (
        read_top(parts, "weekly", 10, None),
        read_standing(parts, "weekly", 1),
        read_standings(parts, "weekly", [1]),
        read_around(parts, "weekly", 1, 5),
    ):
        with pytest.raises(NotFound, match="There is no board 'weekly'"):
            await ask


async def test_other_limits_are_kept(parts: Parts) -> None:
    assert await read_standings(parts, "global", []) == []
    assert await read_standings(parts, "global", [1] * 100) == [None] * 100
    with pytest.raises(BadUserInput, match="the number of userIds must lie between 0 and 100; got 101"):
        await read_standings(parts, "global", [1] * 101)
    for radius in (-1, 51):
        with pytest.raises(BadUserInput, match="radius must lie between 0 and 50"):
            await read_around(parts, "global", 1, radius)
    for game_mode in ("", "m" * 51, "m\0"):
        with pytest.raises(BadUserInput, match="gameMode must have 1 to 50 characters"):
            await read_history(parts, 7, 10, None, game_mode)
