"""When requests are due: by the clock alone, never by the answers.

A load that waits for answers asks less often while the service stands still, and so leaves out of its percentiles the
very requests that would have waited ("coordinated omission": Gil Tene, "How NOT to Measure Latency", 2015).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """Requests at even distances from `began_at` on, in seconds of `time.monotonic`; they are numbered from 0."""

    began_at: float
    per_second: float

    def due_at(self, number: int) -> float:
        """When a request is due."""
        return self.began_at + number / self.per_second

    def count_due(self, now: float) -> int:
        """How many requests are due by `now`."""
        return max(0, int((now - self.began_at) * self.per_second) + 1) if now >= self.began_at else 0
