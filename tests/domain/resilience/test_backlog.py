from __future__ import annotations

import pytest

from domain.resilience.backlog import Backlog


@pytest.fixture
def backlog() -> Backlog:
    return Backlog(grace_s=0.5, age_s_max=0.25)


def test_a_burst_is_taken_whatever_its_size(backlog: Backlog) -> None:
    assert not any(backlog.is_over(10.0, oldest_at=10.0) for _ in range(10_000))


def test_a_short_stall_refuses_nobody(backlog: Backlog) -> None:
    assert [backlog.is_over(now, oldest_at=10.0) for now in (10.0, 10.3, 10.5)] == [False] * 3


def test_a_stall_that_goes_on_refuses_what_comes(backlog: Backlog) -> None:
    assert not backlog.is_over(10.0, oldest_at=10.0)
    assert backlog.is_over(10.6, oldest_at=10.0)


def test_a_queue_that_is_behind_takes_as_much_as_it_gets_done_in_time(backlog: Backlog) -> None:
    assert not backlog.is_over(10.0, oldest_at=10.0)
    assert [backlog.is_over(now, oldest_at=now - age) for now, age in ((11, 0.2), (12, 0.3), (13, 0.2))] == [
        False,
        True,
        False,
    ]


def test_once_empty_it_has_all_its_grace_again(backlog: Backlog) -> None:
    assert not backlog.is_over(10.0, oldest_at=10.0)
    backlog.is_empty()
    assert not backlog.is_over(11.0, oldest_at=10.7)
    assert backlog.is_over(11.3, oldest_at=10.7)
