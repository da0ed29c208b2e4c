"""Promise 5: without Redis scores are recorded all the same.

That ranks are exact or null meanwhile is checked with all other reads.
"""

from __future__ import annotations

from tests.chaos.history import FOUND_OUT_S, History, Violation

# In so long a time of 64 writers some have to be answered, however busy the machine is.
_DARK_S_MIN = 1.0
# The first who find out wait for Redis as long as one answer of it may take.
_ANSWERED_WITHIN_S = 1.5


def check_without_redis(history: History) -> list[Violation]:
    """Every time without Redis in which nobody's score was recorded although all shards were there."""
    return [
        Violation("goes on without Redis", f"nothing was acknowledged from {since:.3f} to {until:.3f}")
        for since, until in history.dark
        if until - since >= _DARK_S_MIN
        and not history.outages_in(since - FOUND_OUT_S, until, "postgres", "pgbouncer", "api")
        and not _acknowledged(history, since, max(until, since + _ANSWERED_WITHIN_S))
    ]


def _acknowledged(history: History, since: float, until: float) -> bool:
    return any(
        attempt.answer and since <= attempt.began_at and attempt.ended_at <= until for _, attempt in history.attempts()
    )
