from __future__ import annotations

import time
from contextvars import copy_context
from itertools import islice

import pytest

from domain.resilience.backoff import Backoff
from domain.resilience.deadline import set_due_at, within

BACKOFF = Backoff(0.1, 0.5, growth=2.0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_bound_grows_and_stays_below_its_most() -> None:
    bounds = list(islice(BACKOFF.rests(draw=lambda: 1.0), 5))
    assert bounds == [0.1, 0.2, 0.4, 0.5, 0.5]


def test_a_rest_is_any_part_of_its_bound() -> None:
    draws = iter([0.0, 0.5, 0.25])
    assert list(islice(BACKOFF.rests(draw=lambda: next(draws)), 3)) == [0.0, 0.1, 0.1]


def test_no_try_begins_when_the_time_is_over() -> None:
    clock = Clock()
    tries = 0
    for rest_s in BACKOFF.rests(0.65, draw=lambda: 1.0, clock=clock):
        tries += 1
        clock.now += rest_s
    # Rests of 0.1, 0.2 and 0.4 s.
    assert tries == 3


def test_there_is_one_try_even_without_any_time() -> None:
    assert len(list(BACKOFF.rests(0.0, clock=Clock()))) == 1


def test_the_deadline_of_the_request_ends_the_tries_earlier() -> None:
    def tries() -> int:
        clock = Clock()
        set_due_at(time.monotonic() - 1)
        return sum(1 for _ in BACKOFF.rests(60, clock=clock))

    assert copy_context().run(tries) == 1


def test_without_a_request_there_is_all_the_time_asked_for() -> None:
    assert within(3.0) == 3.0


def test_within_a_request_there_is_no_more_than_what_is_left() -> None:
    def left() -> tuple[float, float, float]:
        set_due_at(time.monotonic() + 2)
        some = within(1.0), within(3.0)
        set_due_at(time.monotonic() - 2)
        return *some, within(3.0)

    short, cut, none = copy_context().run(left)
    assert short == 1.0
    assert cut == pytest.approx(2.0, abs=0.5)
    assert none == 0.0
