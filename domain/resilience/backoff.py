"""How long to rest before another try: exponential, with full jitter, bounded.

Full jitter (a random part of a growing bound) spreads clients that failed together better than a jitter around the
bound does (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from domain.resilience import deadline, limits


@dataclass(frozen=True, slots=True)
class Backoff:
    """Rests up to `first_s`, `growth` times as long each time, `pause_s_max` at most."""

    first_s: float
    pause_s_max: float
    growth: float = 2.0

    def rests(
        self,
        s_max: float | None = None,
        *,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> Iterator[float]:
        """The rests before the second try, the third, and so on: one try a rest.

        Args:
            s_max: no more tries begin once so many seconds have passed since the first, or once the deadline of the
                request has; None: there is always another.
            draw: a number in [0, 1).
        """
        until = None if s_max is None else clock() + deadline.within(s_max)
        bound_s = self.first_s
        first = True
        while first or until is None or clock() < until:
            first = False
            yield draw() * bound_s
            bound_s = min(bound_s * self.growth, self.pause_s_max)


FOLLOW = Backoff(limits.FOLLOW_FIRST_S, limits.FOLLOW_PAUSE_S_MAX, limits.FOLLOW_GROWTH)
LISTEN = Backoff(limits.LISTEN_FIRST_S, limits.LISTEN_PAUSE_S_MAX)
UPKEEP = Backoff(limits.UPKEEP_FIRST_S, limits.UPKEEP_PAUSE_S_MAX)
MIGRATION = Backoff(limits.MIGRATION_FIRST_S, limits.MIGRATION_PAUSE_S_MAX)
MOVE = Backoff(limits.MOVE_FIRST_S, limits.MOVE_PAUSE_S_MAX)
PROBE = Backoff(limits.PROBE_FIRST_S, limits.PROBE_PAUSE_S_MAX)
