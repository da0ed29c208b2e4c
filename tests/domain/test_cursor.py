from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cursor import parse_session_cursor, parse_standing_cursor, session_cursor, standing_cursor
from domain.errors import BadUserInput
from domain.ids import USER_ID_MAX, USER_ID_MIN
from domain.submission import SCORE_MAX

TOTALS = st.integers(-SCORE_MAX, SCORE_MAX)
USER_IDS = st.integers(USER_ID_MIN, USER_ID_MAX)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(st.text(), TOTALS, USER_IDS)
def test_the_place_of_a_standing_is_read_back(board: str, total: int, user_id: int) -> None:
    try:
        board.encode()
    except UnicodeEncodeError:
        return
    assert parse_standing_cursor(standing_cursor(board, total, user_id), board) == (total, user_id)


@given(USER_IDS, st.uuids())
def test_the_place_of_a_session_is_read_back(user_id: int, session_id: UUID) -> None:
    assert parse_session_cursor(session_cursor(user_id, session_id), user_id) == session_id


@given(TOTALS, USER_IDS, st.integers(0, 28), st.sampled_from(ALPHABET))
def test_a_cursor_with_one_character_changed_is_refused(total: int, user_id: int, place: int, character: str) -> None:
    cursor = standing_cursor("global", total, user_id)
    forged = cursor[:place] + character + cursor[place + 1 :]
    if forged == cursor:
        assert parse_standing_cursor(forged, "global") == (total, user_id)
    else:
        with pytest.raises(BadUserInput, match="after is not a cursor of board 'global'"):
            parse_standing_cursor(forged, "global")


@given(st.text(max_size=100))
def test_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadUserInput, match="after is not a cursor of board 'global'"):
        parse_standing_cursor(text, "global")
    with pytest.raises(BadUserInput, match="after is not a cursor of the history of player 1"):
        parse_session_cursor(text, 1)


@pytest.mark.parametrize("addition", ["=", "==", "A", "\n", " ", "A" * 1_000_000])
def test_a_cursor_with_something_behind_it_is_refused(addition: str) -> None:
    with pytest.raises(BadUserInput):
        parse_standing_cursor(standing_cursor("global", 5, 5) + addition, "global")


def test_a_cursor_of_another_board_is_refused() -> None:
    with pytest.raises(BadUserInput, match="after is not a cursor of board 'global'"):
        parse_standing_cursor(standing_cursor("weekly", 10, 1), "global")


def test_a_cursor_of_another_player_is_refused() -> None:
    session_id = UUID("019aa0e2-7c00-7000-8000-000000000000")
    with pytest.raises(BadUserInput, match="after is not a cursor of the history of player 2"):
        parse_session_cursor(session_cursor(1, session_id), 2)


def test_a_cursor_of_another_kind_is_refused() -> None:
    with pytest.raises(BadUserInput):
        parse_session_cursor(standing_cursor("global", 10, 1), 1)
    with pytest.raises(BadUserInput):
        parse_standing_cursor(session_cursor(1, UUID(int=7)), "global")
