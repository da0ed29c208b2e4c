"""What a fault run of moves found, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.report import Counts, spread


@dataclass
class Report(Counts):
    """What a run found.

    hits: how often each victim was killed in each phase of a move.
    pause_ms_max: the longest pause that a move was recorded with.
    """

    rounds: int = 0
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    pause_ms_max: float = 0.0


def summarize(report: Report) -> list[str]:
    """A report in lines."""
    lines = [
        f"{report.rounds} round(s), {report.told}",
        f"until acknowledged, retries included: {spread(report.waits_ms)}",
        f"the same while no part but a mover was away: {spread(report.calm_waits_ms)}",
        f"longest pause of a bucket, as its mover noted it: {report.pause_ms_max:.0f} ms",
        "kills by phase: "
        + "; ".join(
            f"{phase}: {', '.join(f'{victim} {n}' for (p, victim), n in sorted(report.hits.items()) if p == phase)}"
            for phase in dict.fromkeys(phase for phase, _ in report.hits)
        ),
    ]
    return [*lines, report.verdict]
