from __future__ import annotations

import pytest

from domain.board import check_board, check_page_size, check_range
from domain.errors import BadUserInput, NotFound
from domain.standing import percentile_of


def test_only_the_global_board_exists() -> None:
    assert check_board("global") == "global"
    with pytest.raises(NotFound, match=r"There is no board 'weekly'; the board 'global' always exists\."):
        check_board("weekly")


def test_a_long_board_name_does_not_make_a_long_message() -> None:
    with pytest.raises(NotFound) as raised:
        check_board("x" * 100_000)
    assert len(str(raised.value)) < 150


@pytest.mark.parametrize("first", [1, 2, 100])
def test_a_page_has_1_to_100_entries(first: int) -> None:
    assert check_page_size(first) == first


@pytest.mark.parametrize("first", [0, -1, 101, 2**31 - 1, -(2**31)])
def test_another_page_size_is_refused(first: int) -> None:
    with pytest.raises(BadUserInput) as raised:
        check_page_size(first)
    assert str(raised.value) == f"first must lie between 1 and 100; got {first}."


def test_a_range_holds_both_of_its_ends() -> None:
    assert [check_range(value, 0, 2, "radius") for value in (0, 1, 2)] == [0, 1, 2]
    with pytest.raises(BadUserInput, match="radius must lie between 0 and 2; got 3"):
        check_range(3, 0, 2, "radius")


@pytest.mark.parametrize(
    ("rank", "players", "percentile"), [(1, 1, 100.0), (1, 4, 100.0), (2, 4, 75.0), (4, 4, 25.0), (3, 3, 100 / 3)]
)
def test_the_percentile_is_the_share_that_is_not_better(rank: int, players: int, percentile: float) -> None:
    assert percentile_of(rank, players) == pytest.approx(percentile, abs=1e-12)
