"""Where a primary's log stood at which time: what a replica's position means in seconds.

By the clock of this process alone, and true also while nothing is written: a replica that has replayed all that the
primary had on disk at a moment holds all that was acknowledged until then. `pg_last_xact_replay_timestamp` would say
how long ago the last transaction was, which on an idle primary grows though the replica lacks nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque

# At two samples a second, ten minutes: a replica that is further behind is just late.
_SAMPLES_MAX = 1_200


class LogSamples:
    """Samples of one primary's position, oldest first."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_SAMPLES_MAX)
        self._positions: deque[int] = deque(maxlen=_SAMPLES_MAX)

    def add(self, taken_at: float, position: int) -> None:
        """The primary stood at `position` at a moment after `taken_at`."""
        if self._positions and position < self._positions[-1]:
            # Another primary, or the same one restored: what was known of the log is of another log.
            self._times.clear()
            self._positions.clear()
        self._times.append(taken_at)
        self._positions.append(position)

    def time_of(self, position: int) -> float | None:
        """The last time at which the primary was not beyond `position`; None where that is longer ago than is known."""
        place = bisect_right(self._positions, position)
        return self._times[place - 1] if place else None
