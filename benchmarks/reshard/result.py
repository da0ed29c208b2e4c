"""What a run found of the growth from 4 to 6 shards."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.reshard.latencies import Latencies
from benchmarks.reshard.moves import Moved, Status

BEFORE, DURING, AFTER = "before", "during", "after"


@dataclass(frozen=True, slots=True)
class Resharded:
    """What was done, and what players noticed of it.

    players, sessions: what was there before.
    rate_wanted, rate: submissions a second, as asked for and as carried out.
    too_fast: for each rate that was tried and not taken, why; `sustained` is whether one was taken that the machine
        sustained before anything moved.
    submissions, ranks: by the time in which they were due: `BEFORE`, `DURING`, parts of it, and `AFTER`.
    first_failure: what was said to the first request that failed.
    cores: by time, how many cores each role kept busy; `load` is the generator, `commands` are those of `shardboard`.
    timeline: of each second since the beginning of `BEFORE`, p50, p99 and maximum of the submissions, in ms.
    moved, moves: the plan, and each of its moves as `shards status --json` tells it.
    acknowledged, unanswered: submissions, those before anything was measured included.
    sessions_found: how many there were at the end.
    trouble: what went wrong with the commands; empty where nothing did.
    shards_verified, ranks_verified: what the commands printed.
    is_verified: whether both found nothing wrong.
    """

    players: int
    sessions: int
    rate_wanted: int
    rate: int
    sustained: bool
    too_fast: dict[int, str]
    submissions: dict[str, Latencies]
    ranks: dict[str, Latencies]
    first_failure: str
    cores: dict[str, dict[str, float]]
    moved: Moved
    acknowledged: int
    unanswered: int
    sessions_found: int
    is_verified: bool
    shards_verified: str
    ranks_verified: str
    trouble: str = ""
    moves: list[Status] = field(default_factory=list)
    timeline: list[tuple[float, float, float, float]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Requests that failed in the times that were measured."""
        return sum(times[when].failed for times in (self.submissions, self.ranks) for when in (BEFORE, DURING, AFTER))
