"""Patience with a part follows how long its answers take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.resilience.patience import Patience


def test_a_part_that_never_answered_is_given_the_most() -> None:
    assert Patience(least=0.1, most=0.5).seconds == 0.5


def test_the_first_answer_counts_half_as_deviation() -> None:
    patience = Patience(least=0.0, most=9.0)
    patience.answered(0.2)
    assert patience.seconds == pytest.approx(0.2 + 4 * 0.1)


def test_later_answers_move_it_as_rfc_6298_has_it() -> None:
    patience = Patience(least=0.0, most=9.0)
    patience.answered(0.2)
    patience.answered(0.4)
    deviation = 0.75 * 0.1 + 0.25 * 0.2
    mean = 0.875 * 0.2 + 0.125 * 0.4
    assert patience.seconds == pytest.approx(mean + 4 * deviation)


def test_a_quick_part_is_given_the_least_and_a_slow_one_more() -> None:
    patience = Patience(least=0.1, most=0.5)
    for _ in range(50):
        patience.answered(0.003)
    assert patience.seconds == 0.1
    for _ in range(50):
        patience.answered(0.25)
    assert 0.25 < patience.seconds < 0.3


@given(st.lists(st.floats(0, 60)))
def test_it_stays_between_its_ends(times_s: list[float]) -> None:
    patience = Patience(least=0.1, most=0.5)
    for time_s in times_s:
        patience.answered(time_s)
        assert 0.1 <= patience.seconds <= 0.5
