"""How speed changes with the number of players: two services side by side, measured in turn."""

from __future__ import annotations

import statistics
from contextlib import ExitStack

from benchmarks.cluster import shardboard_up
from benchmarks.load import Measured, Target, measure

OPERATIONS = {"leaderboard": "leaderboard", "rank": "rank", "submitScore": "submit_score"}
_ROUNDS = 3


def measure_sizes(sizes: list[int], sessions: int, seconds: int) -> dict[str, dict[int, Measured]]:
    """For each operation the measurement of each size.

    Both services run at once and take turns of a few seconds, so that whatever else slows the machine slows both;
    the median of the rounds counts. They have the same number of sessions, as far as every player has one at all.
    """
    with ExitStack() as stack:
        targets = {}
        for size in sizes:
            cluster = stack.enter_context(shardboard_up())
            print(f"seeding {size:,} players", flush=True)
            targets[size] = cluster.seed(size, max(sessions, size))
        return {name: _take_turns(targets, script, seconds) for name, script in OPERATIONS.items()}


def _take_turns(targets: dict[int, Target], script: str, seconds: int) -> dict[int, Measured]:
    found: dict[int, list[Measured]] = {size: [] for size in targets}
    for _ in range(_ROUNDS):
        for size, target in targets.items():
            found[size].append(measure(target, script, seconds))
            print(f"  {script}, {size:,} players: {found[size][-1].per_second:,.0f}/s", flush=True)
    return {size: _middle(rounds) for size, rounds in found.items()}


def _middle(rounds: list[Measured]) -> Measured:
    return Measured(
        requests=sum(one.requests for one in rounds),
        per_second=statistics.median(one.per_second for one in rounds),
        p50_ms=statistics.median(one.p50_ms for one in rounds),
        p99_ms=statistics.median(one.p99_ms for one in rounds),
        failed=sum(one.failed for one in rounds),
        first_failure=next((one.first_failure for one in rounds if one.first_failure), ""),
    )
