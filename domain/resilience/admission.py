"""How many requests a process works on at once: as many as it answers soon.

A process that is asked for more than it can do gets slower for everybody: each request waits for all that came before.
So there is a limit of requests under way, and what comes above it is refused, which costs next to nothing. The limit
follows the median time of the requests that were answered: by Little's law twice the time is twice too many, and so it
is cut in proportion. It grows slowly while it is used and times are good.

The median, because a shard that is slow must not take the places of other shards' players: its own are the lesser
part. For the same reason a request that is under way for long is counted no more: it waits for another part.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median_low
from time import monotonic

from domain.errors import Unavailable
from domain.resilience import limits


def places_of(length: int) -> int:
    """How many places a request of so many bytes takes."""
    return 1 + length // limits.BYTES_A_PLACE


def overloaded() -> Unavailable:
    """What a client is told whose request is refused."""
    return Unavailable(
        "The service has more to do than it can; try again with the same submissionId.", limits.RETRY_SHED_S
    )


class Generation:
    """The requests that came within the same span of time."""

    __slots__ = ("counts", "taken")

    def __init__(self) -> None:
        self.taken = 0
        self.counts = True


class Admission:
    """The places of one process; pure, told of the time in seconds.

    Attributes:
        taken: places in use by requests that are not under way for too long.
        limit: how many there are now.
    """

    def __init__(
        self,
        *,
        least: int = limits.UNDER_WAY_MIN,
        usual: int = limits.UNDER_WAY_USUAL,
        most: int = limits.UNDER_WAY_MAX,
        aim_s: float = limits.ANSWER_S_AIM,
        window_s: float = limits.ANSWER_WINDOW_S,
        under_way_s_max: float = limits.UNDER_WAY_S_MAX,
    ) -> None:
        self.taken = 0
        self.limit = float(usual)
        self._least, self._usual, self._most = least, usual, most
        self._aim_s = aim_s
        self._window_s = window_s
        self._span_s = under_way_s_max / 2
        self._generations = [Generation(), Generation()]
        self._span_ends_at = 0.0
        self._window_ends_at = 0.0
        self._taken_max = 0
        self._times: list[float] = []

    def enter(self, places: int, now: float) -> Generation | None:
        """Take places for a request; None where it is refused. One that is alone is let in, whatever its size."""
        if now >= self._span_ends_at:
            self._forget_old(now)
        taken = self.taken + places
        if taken > self._taken_max:
            self._taken_max = taken
        if taken > self.limit and self.taken:
            if now >= self._window_ends_at:
                self._adjust(now)
            return None
        self.taken = taken
        generation = self._generations[-1]
        generation.taken += places
        return generation

    @contextmanager
    def place(self, length: int) -> Iterator[None]:
        """Places for work on a request of so many bytes while the block lasts.

        Raises:
            Unavailable: it is refused.
        """
        places, came_at = places_of(length), monotonic()
        generation = self.enter(places, came_at)
        if generation is None:
            raise overloaded()
        try:
            yield
        finally:
            self.leave(generation, places, came_at, monotonic())

    def leave(self, generation: Generation, places: int, came_at: float, now: float) -> None:
        """Give back what `enter` gave then."""
        generation.taken -= places
        if generation.counts:
            self.taken -= places
            time_s = now - came_at
            # Bulk takes its time, and what never waits tells nothing of how long others do.
            if places == 1 and time_s > limits.INSTANT_S:
                self._times.append(time_s)
        if now >= self._window_ends_at:
            self._adjust(now)

    def _adjust(self, now: float) -> None:
        used = min(self.limit, self._taken_max)
        median_s = median_low(self._times) if len(self._times) >= limits.ANSWERS_MIN else 0.0
        if median_s > self._aim_s:
            self.limit = max(self._least, used * max(self._aim_s / median_s, limits.CUT_MAX))
        elif used > self.limit / 2:
            self.limit = min(self._most, self.limit * limits.GROWTH)
        elif self.limit > self._usual:
            self.limit = max(self._usual, self.limit / limits.GROWTH)
        elif self.limit < self._usual:
            self.limit = min(self._usual, self.limit * limits.GROWTH)
        # What is answered next came before the change: it is not judged by that.
        self._window_ends_at = now + max(self._window_s, median_s)
        self._taken_max = self.taken
        self._times.clear()

    def _forget_old(self, now: float) -> None:
        # After a silence all of them are old.
        spans = 2 if now >= self._span_ends_at + self._span_s else 1
        for _ in range(spans):
            oldest = self._generations.pop(0)
            oldest.counts = False
            self.taken -= oldest.taken
            self._generations.append(Generation())
        self._span_ends_at = now + self._span_s
