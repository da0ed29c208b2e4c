"""When a queue takes nothing more: it has been behind for a while, and what would be added would wait too long.

The idea is CoDel's (Kathleen Nichols, Van Jacobson, "Controlling Queue Delay", ACM Queue 2012): a queue that is emptied
now and then only evens out bursts, whatever its length; one that is never empty makes everybody wait and nobody
quicker. Where CoDel drops what has waited, this refuses what comes: nothing was begun, and its client hears at once.
"""

from __future__ import annotations

from domain.resilience import limits


class Backlog:
    """Follows one queue."""

    def __init__(self, *, grace_s: float = limits.QUEUE_GRACE_S, age_s_max: float = limits.QUEUE_AGE_S_MAX) -> None:
        self._grace_s = grace_s
        self._age_s_max = age_s_max
        self._behind_since: float | None = None

    def is_empty(self) -> None:
        """All that waited is under way."""
        self._behind_since = None

    def is_over(self, now: float, oldest_at: float) -> bool:
        """Whether one more is refused.

        Args:
            oldest_at: since when the oldest entry waits.
        """
        if self._behind_since is None:
            self._behind_since = oldest_at
        return now - oldest_at > self._age_s_max and now - self._behind_since > self._grace_s
