"""Promise 4 in numbers: what the players of other shards notice of a shard that is away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import quantiles

from tests.chaos.history import Attempt, Failure, History, Outage, Violation

# Before an outage so long a time is looked at, or as long as the outage.
_BEFORE_S_MIN = 4.0
# Fewer answers have no p99 to speak of.
_ANSWERS_MIN = 100
# Two busy cores answer so late now and then, whatever is away.
FLOOR_MS = 150.0
_TIMES = 2.0


@dataclass(frozen=True, slots=True)
class Figures:
    """How long answers took, in milliseconds, and how many requests failed."""

    waits_ms: Sequence[float]
    failures: int

    def quantile(self, percent: int) -> float:
        """Of the waits; 0 for fewer than two."""
        return quantiles(self.waits_ms, n=100, method="inclusive")[percent - 1] if len(self.waits_ms) > 1 else 0.0

    def __str__(self) -> str:
        return f"{self.quantile(50):6.0f} {self.quantile(99):6.0f} {self.failures:4d}/{len(self.waits_ms):<5d}"


@dataclass(frozen=True, slots=True)
class Row:
    """An outage of a shard, and the submissions of players of all other shards before and during it."""

    what: str
    outage: Outage
    before: Figures
    during: Figures


def compare_others(history: History, told: Iterable[tuple[str, Outage]]) -> list[Row]:
    """A row for each outage of a shard.

    Args:
        told: the outages, and what each is called.
    """
    return [
        Row(what, outage, *_figures(history, outage))
        for what, outage in told
        if outage.role in ("postgres", "pgbouncer") and outage.ended_at < float("inf")
    ]


def check_others(rows: Iterable[Row]) -> list[Violation]:
    """Whether all outages together made others wait for more than twice as long, or failed one of their requests."""
    calm = [row for row in rows if not row.outage.is_harmless]
    before = Figures([wait for row in calm for wait in row.before.waits_ms], 0)
    during = Figures([wait for row in calm for wait in row.during.waits_ms], 0)
    if min(len(before.waits_ms), len(during.waits_ms)) < _ANSWERS_MIN:
        return []
    bound_ms = max(_TIMES * before.quantile(99), FLOOR_MS)
    if during.quantile(99) <= bound_ms:
        return []
    what = f"p99 of other shards' players: {before.quantile(99):.0f} ms before, {during.quantile(99):.0f} ms during"
    return [Violation("others notice nothing", what)]


def table_of(rows: Sequence[Row]) -> list[str]:
    """The rows for people."""
    if not rows:
        return []
    head = f"{'other shards, ms':46} {'seconds':>7}   before: p50    p99 failed      during: p50    p99 failed"
    return [
        head,
        *(
            f"{row.what:46} {row.outage.ended_at - row.outage.began_at:7.1f}        {row.before}      {row.during}"
            for row in rows
        ),
    ]


def _figures(history: History, outage: Outage) -> tuple[Figures, Figures]:
    span_s = max(_BEFORE_S_MIN, outage.ended_at - outage.began_at)
    others = [
        attempt
        for submission, attempt in history.attempts()
        if outage.name not in history.owners_in(submission.user_id, attempt.began_at, attempt.ended_at)
        and attempt.ended_at < float("inf")
        # Many in one request are answered when the last of them is, a player of this shard maybe.
        and not attempt.is_bulk
        and not _others_away(history, attempt, outage)
    ]
    before = [each for each in others if outage.began_at - span_s <= each.began_at and each.ended_at < outage.began_at]
    during = [each for each in others if outage.began_at <= each.began_at <= outage.ended_at]
    return _figures_of(before), _figures_of(during)


def _others_away(history: History, attempt: Attempt, outage: Outage) -> bool:
    """Whether another fault met a request, which this one is not to blame for."""
    return any(
        each is not outage and each.began_at <= attempt.ended_at and attempt.began_at <= each.ended_at
        for each in history.outages
    )


def _figures_of(attempts: Sequence[Attempt]) -> Figures:
    waits_ms = [(each.ended_at - each.began_at) * 1000 for each in attempts]
    return Figures(waits_ms, sum(isinstance(each.outcome, Failure) for each in attempts))
