"""What a fault run found, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import quantiles

from tests.chaos.history import FOUND_OUT_S, Answer, Failure, History, Violation
from tests.chaos.stored import Stored

_LINES_MAX = 30
# Of each promise so many that were broken are told in full.
_NAMED_MAX = 3


@dataclass
class Counts:
    """What a run did and found, in numbers.

    seconds: for how long there was traffic.
    waits_ms: how long submissions took, and those alone for which nothing but a mover was away.
    """

    violations: list[Violation] = field(default_factory=list)
    submissions: int = 0
    attempts: int = 0
    reads: int = 0
    seconds: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)
    waits_ms: list[float] = field(default_factory=list)
    calm_waits_ms: list[float] = field(default_factory=list)

    @property
    def told(self) -> str:
        """How much was done."""
        return (
            f"{self.submissions:,} submissions in {self.attempts:,} attempts "
            f"({self.attempts / max(self.seconds, 1):,.0f}/s), {self.reads:,} reads; "
            f"attempts that failed: {dict(self.failures)}"
        )

    @property
    def verdict(self) -> str:
        """How many promises were broken how often."""
        return f"violations: {dict(Counter(violation.promise for violation in self.violations)) or 'none'}"

    def measure(self, history: History) -> None:
        """Count what was done in a round."""
        self.submissions += len(history.submissions)
        self.reads += len(history.reads) + len(history.history_reads)
        for _, attempt in history.attempts():
            self.attempts += 1
            if attempt.answer is None:
                self.failures[getattr(attempt.outcome, "code", "nothing")] += 1
        for submission in history.submissions.values():
            wait_ms = (submission.acknowledged_at - submission.began_at) * 1000
            if wait_ms < float("inf"):
                self.waits_ms.append(wait_ms)
                since = submission.began_at - FOUND_OUT_S
                if not history.outages_in(since, submission.acknowledged_at, "postgres", "pgbouncer", "valkey", "api"):
                    self.calm_waits_ms.append(wait_ms)


def named(violations: Iterable[Violation]) -> list[Violation]:
    """The first few of each promise."""
    counts: Counter[str] = Counter()
    chosen = []
    for violation in violations:
        counts[violation.promise] += 1
        if counts[violation.promise] <= _NAMED_MAX:
            chosen.append(violation)
    return chosen


def describe_player(history: History, stored: Stored, violation: Violation) -> list[str]:
    """What was done for the player of a violation, a line a session in their order, and what is stored."""
    held: dict[object, list[str]] = {}
    for each in sorted(stored.sessions, key=lambda each: each.games_after):
        if each.user_id == violation.user_id:
            held.setdefault(each.id, []).append(f"{each.shard}: total {each.total_after}, game {each.games_after}")
    mine = [each for each in history.submissions.values() if each.user_id == violation.user_id]
    lines: list[str] = []
    concerned: list[int] = []
    for submission in sorted(mine, key=lambda each: each.began_at):
        if str(submission.id) in violation.what:
            concerned.append(len(lines))
        told = "; ".join(
            f"{each.api} {each.began_at:.3f}-{each.ended_at:.3f} {_brief(each.outcome)}" for each in submission.attempts
        )
        lines.append(f"{submission.id} {submission.score:+d} stored {held.get(submission.id)}: {told}")
    standings = [str(standing) for standing in stored.standings if standing.user_id == violation.user_id]
    first, last = (concerned[0] - 5, concerned[-1] + 5) if concerned else (len(lines) - _LINES_MAX, len(lines))
    around = lines[max(first, 0) : last]
    return [f"player {violation.user_id}, {len(lines)} sessions:", *around, *standings]


def _brief(outcome: Answer | Failure | None) -> str:
    if isinstance(outcome, Answer):
        return f"{outcome.total}/{outcome.games} #{outcome.rank}{' again' * outcome.duplicate}"
    return str(outcome and outcome.code)


def spread(waits_ms: list[float]) -> str:
    """How long something took, in a line."""
    if len(waits_ms) < 2:
        return "nothing"
    cuts = quantiles(waits_ms, n=1000)
    return f"p50 {cuts[499]:.0f} ms, p99 {cuts[989]:.0f} ms, p99.9 {cuts[998]:.0f} ms, max {max(waits_ms):.0f} ms"
