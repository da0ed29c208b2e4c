"""What this process acknowledged of late: who wrote must not be shown a state from before."""

from __future__ import annotations

import time
from collections.abc import Iterable


class RecentWrites:
    """When each player's last write was acknowledged here; older than `keep_s`, it is forgotten.

    Attributes:
        is_needed: whether anything is noted at all; nobody asks where there are no replicas.
    """

    def __init__(self, keep_s: float) -> None:
        self.is_needed = False
        self._keep_s = keep_s
        self._new: dict[int, float] = {}
        self._old: dict[int, float] = {}
        self._turned_at = float("-inf")

    def note(self, user_ids: Iterable[int]) -> None:
        """The players' writes are committed and about to be acknowledged."""
        if not self.is_needed:
            return
        now = time.monotonic()
        if now >= self._turned_at + self._keep_s:
            self._old, self._new, self._turned_at = self._new, {}, now
        self._new.update(dict.fromkeys(user_ids, now))

    def last(self, user_id: int) -> float:
        """When, by `time.monotonic`, a player's last write was noted; long ago where that is not known any more."""
        return self._new.get(user_id) or self._old.get(user_id, float("-inf"))
