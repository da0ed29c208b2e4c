"""The five numbers for those who have no Prometheus."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from time import monotonic

from app.metrics.merge import Merged, total
from domain.metrics.catalogue import ACTIVE_PLAYERS, ANSWER_CACHE, POOL_CONNECTIONS, REQUEST_DURATION

WINDOW_S = 60.0
"""Rates and averages are those of about this long."""

SAMPLE_INTERVAL_S = 5.0


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    requests: float
    seconds: float
    hits: float
    misses: float


class Summary:
    """Remembers what the numbers were, to tell what they were in the last minute."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()

    def sample(self, merged: Merged) -> None:
        """Remember the numbers of now; to be called every `SAMPLE_INTERVAL_S`."""
        now = _sample(merged)
        self._samples.append(now)
        while len(self._samples) > 1 and now.at - self._samples[0].at > WINDOW_S:
            self._samples.popleft()

    def describe(self, merged: Merged) -> dict[str, float | None]:
        """The body of `GET /metrics` as JSON.

        A rate or average of nothing is 0; `active_users` is null while Redis, which counts them, is away.
        """
        now = _sample(merged)
        before = self._samples[0] if self._samples else now
        requests = now.requests - before.requests
        hits, misses = now.hits - before.hits, now.misses - before.misses
        active = merged[ACTIVE_PLAYERS.name].get(())
        return {
            "requests_per_second": round(_ratio(requests, now.at - before.at), 3),
            "avg_response_time_ms": round(_ratio(now.seconds - before.seconds, requests) * 1000, 3),
            "cache_hit_rate": round(_ratio(hits, hits + misses), 4),
            "database_connections": int(total(merged, POOL_CONNECTIONS)),
            "active_users": None if active is None else int(active[0]),
        }


def _sample(merged: Merged) -> _Sample:
    cells = list(merged[REQUEST_DURATION.name].values())
    return _Sample(
        at=monotonic(),
        requests=sum(sum(counts) for *counts, _ in cells),
        seconds=sum(seconds for *_, seconds in cells),
        hits=total(merged, ANSWER_CACHE, "hit"),
        misses=total(merged, ANSWER_CACHE, "miss"),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
