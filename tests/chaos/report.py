"""What a fault run found, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from statistics import quantiles

from tests.chaos.check_failures import FOUND_OUT_S
from tests.chaos.history import Answer, Failure, History, Violation
from tests.chaos.stored import Stored

_LINES_MAX = 30


@dataclass
class Report:
    """What a run found.

    hits: how often each victim was killed in each phase of a move.
    seconds: for how long there was traffic.
    pause_ms_max: the longest pause that a move was recorded with.
    waits_ms: how long submissions took, and those alone for which nothing but a mover was away.
    """

    violations: list[Violation] = field(default_factory=list)
    rounds: int = 0
    submissions: int = 0
    attempts: int = 0
    reads: int = 0
    seconds: float = 0.0
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    waits_ms: list[float] = field(default_factory=list)
    calm_waits_ms: list[float] = field(default_factory=list)
    pause_ms_max: float = 0.0

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


def summarize(report: Report) -> list[str]:
    """A report in lines."""
    lines = [
        f"{report.rounds} round(s), {report.submissions:,} submissions in {report.attempts:,} attempts "
        f"({report.attempts / max(report.seconds, 1):,.0f}/s), {report.reads:,} reads; "
        f"attempts that failed: {dict(report.failures)}",
        f"until acknowledged, retries included: {_spread(report.waits_ms)}",
        f"the same while no part but a mover was away: {_spread(report.calm_waits_ms)}",
        f"longest pause of a bucket, as its mover noted it: {report.pause_ms_max:.0f} ms",
        "kills by phase: "
        + "; ".join(
            f"{phase}: {', '.join(f'{victim} {n}' for (p, victim), n in sorted(report.hits.items()) if p == phase)}"
            for phase in dict.fromkeys(phase for phase, _ in report.hits)
        ),
    ]
    promises = Counter(violation.promise for violation in report.violations)
    return [*lines, f"violations: {dict(promises) or 'none'}"]


def _spread(waits_ms: list[float]) -> str:
    if len(waits_ms) < 2:
        return "nothing"
    cuts = quantiles(waits_ms, n=1000)
    return f"p50 {cuts[499]:.0f} ms, p99 {cuts[989]:.0f} ms, p99.9 {cuts[998]:.0f} ms, max {max(waits_ms):.0f} ms"
