from __future__ import annotations

from domain.resilience.admission import Admission, Generation


class Process:
    """A process that gets so many requests a second done, one after the other, and is asked for more."""

    def __init__(self, per_second: float) -> None:
        self.admission = Admission(least=8, usual=100, most=400, aim_s=0.1, window_s=0.2, under_way_s_max=0.5)
        self.each_s = 1 / per_second
        self.free_at = 0.0
        self.under_way: list[tuple[float, Generation, float]] = []
        self.times: list[float] = []
        self.refused = 0

    def ask(self, per_second: float, begins: float, seconds: float, *, places: int = 1) -> None:
        self.times.clear()
        self.refused = 0
        for number in range(int(seconds * per_second)):
            self.arrive(begins + number / per_second, places)

    def arrive(self, now: float, places: int) -> None:
        while self.under_way and self.under_way[0][0] <= now:
            done_at, generation, came_at = self.under_way.pop(0)
            self.admission.leave(generation, places, came_at, done_at)
            self.times.append(done_at - came_at)
        generation_or_none = self.admission.enter(places, now)
        if generation_or_none is None:
            self.refused += 1
            return
        self.free_at = max(now, self.free_at) + self.each_s
        self.under_way.append((self.free_at, generation_or_none, now))


def test_what_can_be_done_is_all_accepted() -> None:
    process = Process(1000)
    process.ask(900, 0.0, 10.0)
    assert process.refused == 0


def test_at_three_times_what_can_be_done_the_accepted_ones_stay_quick() -> None:
    process = Process(1000)
    process.ask(3000, 0.0, 10.0)
    assert max(process.times) < 0.3
    assert 9_000 < len(process.times) <= 10_000


def test_a_slow_process_works_on_fewer_at_once() -> None:
    process = Process(100)
    process.ask(300, 0.0, 2.0)
    process.ask(300, 2.0, 10.0)
    assert sorted(process.times)[len(process.times) * 99 // 100] < 0.4
    assert len(process.times) > 900


def test_a_quick_process_works_on_more_at_once() -> None:
    process = Process(10_000)
    process.ask(30_000, 0.0, 5.0)
    assert process.admission.limit == 400


def test_after_it_all_is_accepted_again() -> None:
    process = Process(100)
    process.ask(300, 0.0, 5.0)
    process.ask(50, 6.0, 10.0)
    assert process.refused == 0
    assert process.admission.limit == 100


def test_requests_that_wait_for_something_that_hangs_lose_their_places() -> None:
    admission = Admission(least=8, usual=10, most=10, aim_s=0.1, under_way_s_max=0.5)
    hanging = [admission.enter(1, 0.1) for _ in range(10)]
    assert None not in hanging
    assert admission.enter(1, 0.2) is None
    assert admission.enter(1, 0.3) is None
    again = [admission.enter(1, 0.7) for _ in range(10)]
    assert None not in again
    # Their end changes nothing any more.
    for generation in hanging:
        assert generation is not None
        admission.leave(generation, 1, 0.1, 0.75)
    assert admission.taken == 10
    assert admission.enter(1, 0.8) is None


def test_the_minority_that_a_slow_shard_makes_wait_costs_the_others_nothing() -> None:
    admission = Admission(least=8, usual=100, most=100, aim_s=0.1, window_s=0.2)
    for number in range(1000):
        now = number / 100
        generation = admission.enter(1, now)
        assert generation is not None
        admission.leave(generation, 1, now, now + (0.4 if number % 4 == 0 else 0.02))
    assert admission.limit == 100


def test_bulk_takes_places_and_a_large_one_alone_is_let_in() -> None:
    admission = Admission(least=8, usual=10, most=10)
    large = admission.enter(250, 0.0)
    assert large is not None
    assert admission.enter(1, 0.0) is None
    admission.leave(large, 250, 0.0, 0.1)
    assert admission.enter(6, 0.1) is not None
    assert admission.enter(6, 0.1) is None
    assert admission.enter(4, 0.1) is not None
