"""What is aimed at, beside what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.load import Measured
from benchmarks.overload.measure import AFTER as AFTER_OVERLOAD
from benchmarks.overload.measure import BEFORE as BEFORE_OVERLOAD
from benchmarks.overload.measure import LATER, OVERLOAD, Overloaded
from benchmarks.reshard.result import BEFORE, DURING, Resharded
from benchmarks.watchers.measure import Watched

SESSIONS_A_BULK = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `sessions_per_second` is set where one request carries more than one session."""

    name: str
    measured: Measured
    sessions_per_second: float | None = None

    @property
    def rate(self) -> float:
        """What goals speak of: sessions a second in bulk, requests a second else."""
        return self.measured.per_second if self.sessions_per_second is None else self.sessions_per_second


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that a row should reach. `is_aim` marks the ones beyond what is required."""

    row: str
    text: str
    found: str
    met: bool
    is_aim: bool = False


# A small hand-written Node service on such a machine; no shards, no idempotency.
_AIMS = {"submitScore": 8_700, "leaderboard": 23_000, "rank": 27_000, "history": 12_000}
_LEAST = {"submitScore": 6_000, "submitScores": 25_000, "leaderboard": 40_000, "rank": 10_000, "history": 6_000}
_SUBMIT_P99_MS = 45
_SUBMIT_TIMES_PLAIN = 4
_SIZE_RATIO = 0.8
_WATCHERS_P99_MS = 500
_WATCHER_KB = 45
_PAUSE_MS = 50
_P99_TIMES_BEFORE = 2
_ACCEPTED_P99_MS = 500
_SHED_P99_MS = 100
_KEPT = 0.8


def judge(rows: dict[str, Row]) -> list[Goal]:
    """Every goal whose rows were measured."""
    goals = [
        Goal(name, f"at least {least:,}/s", f"{rows[name].rate:,.0f}/s", rows[name].rate >= least)
        for name, least in _LEAST.items()
        if name in rows
    ]
    if "submitScore" in rows:
        p99 = rows["submitScore"].measured.p99_ms
        goals.append(Goal("submitScore", f"p99 under {_SUBMIT_P99_MS} ms", f"{p99:.1f} ms", p99 < _SUBMIT_P99_MS))
    if "submitScore" in rows and "plain submitScore" in rows:
        times = rows["submitScore"].rate / rows["plain submitScore"].rate
        wanted = f"at least {_SUBMIT_TIMES_PLAIN} × the plain design"
        goals.append(Goal("submitScore", wanted, f"{times:.1f} ×", times >= _SUBMIT_TIMES_PLAIN))
    if "submitScores" in rows and "pgbench" in rows:
        times = rows["submitScores"].rate / rows["pgbench"].rate
        goals.append(Goal("submitScores", "more than pgbench's one-row writes", f"{times:.1f} ×", times > 1))
    goals += [
        Goal(name, f"more than {aim:,}/s", f"{rows[name].rate:,.0f}/s", rows[name].rate > aim, is_aim=True)
        for name, aim in _AIMS.items()
        if name in rows
    ]
    failed = sum(row.measured.failed for row in rows.values())
    goals.append(Goal("all", "no answer that is not what was asked for", f"{failed} such", failed == 0))
    return goals


def judge_size(row: str, small: Measured, large: Measured) -> Goal:
    """Whether speed stays when the players grow."""
    ratio = large.per_second / small.per_second
    return Goal(row, f"at least {_SIZE_RATIO} of the speed with fewer players", f"{ratio:.2f}", ratio >= _SIZE_RATIO)


def judge_watchers(name: str, watched: Watched) -> list[Goal]:
    """Whether a crowd sees changes soon, completely, and at what cost."""
    row = f"{name} watchers"
    p99, kb = watched.p99_ms, watched.memory_kb
    return [
        Goal(row, f"p99 under {_WATCHERS_P99_MS} ms", f"{p99:.0f} ms", p99 < _WATCHERS_P99_MS),
        Goal(row, f"under {_WATCHER_KB} KB each", f"{kb:.1f} KB", kb < _WATCHER_KB),
        Goal(row, "every change seen by every watcher", f"{watched.missed} not", watched.missed == 0),
    ]


def judge_overload(found: Overloaded) -> list[Goal]:
    """Whether the service sheds what is too much, at once, and is itself again afterwards."""
    row = f"{found.times:g} × the capacity"
    before, over, after, later = (found.phases[name] for name in (BEFORE_OVERLOAD, OVERLOAD, AFTER_OVERLOAD, LATER))
    kept, shed_ms = over.accepted_per_second / found.capacity, over.shed_p99_ms
    wrong = sum(phase.wrong + phase.blunt for phase in found.phases.values())
    calm = sum(phase.shed for phase in (before, later))
    return [
        Goal(row, f"accepted p99 under {_ACCEPTED_P99_MS} ms", f"{over.p99_ms:.0f} ms", over.p99_ms < _ACCEPTED_P99_MS),
        Goal(row, f"at least {_KEPT} of the capacity accepted", f"{kept:.2f}", kept >= _KEPT),
        Goal(row, f"p99 of being shed under {_SHED_P99_MS} ms", f"{shed_ms:.0f} ms", shed_ms < _SHED_P99_MS),
        Goal(row, "no other answer, and each says when to come back", f"{wrong} such", wrong == 0),
        Goal(row, "nothing shed before and after it", f"{calm} shed", calm == 0),
        Goal(
            row,
            f"p99 right after it at most {_P99_TIMES_BEFORE} × that before",
            f"{after.p99_ms / before.p99_ms:.1f} ×" if before.p99_ms else "none before",
            0 < after.p99_ms <= _P99_TIMES_BEFORE * before.p99_ms,
        ),
    ]


def judge_reshard(found: Resharded) -> list[Goal]:
    """Whether players notice that shards are added, and whether all they did counts in the end."""
    row = "4 to 6 shards"
    pause = found.moved.pause_ms_max
    before, during = (found.submissions[when].p99_ms for when in (BEFORE, DURING))
    counted = found.sessions_found - found.sessions
    moved = bool(found.moved.moves) and not found.moved.unended and not found.trouble
    return [
        Goal(row, "every move carried out", f"{found.moved.moves - found.moved.unended} moves", moved),
        Goal(row, f"longest pause under {_PAUSE_MS} ms", f"{pause:.1f} ms", moved and pause < _PAUSE_MS),
        Goal(
            row,
            f"p99 of submissions during at most {_P99_TIMES_BEFORE} × that before",
            f"{during:.1f} ms, {during / before:.1f} ×" if before else "none before",
            before > 0 and during <= _P99_TIMES_BEFORE * before,
        ),
        Goal(row, "no failed request", f"{found.failed} failed", found.failed == 0),
        Goal(
            row,
            f"each of {found.acknowledged:,} acknowledged submissions counted once",
            f"{counted:,} more sessions",
            # One that was not answered may have counted.
            0 <= counted - found.acknowledged <= found.unanswered,
        ),
        Goal(row, "shards and ranks verified", "both" if found.is_verified else "differ", found.is_verified),
    ]
