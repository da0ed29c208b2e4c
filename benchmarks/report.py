"""The report of a run: tables in Markdown that read well on a terminal, and the same as JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.goals import Goal, Row
from benchmarks.load import CONNECTIONS, Measured
from benchmarks.overload.measure import Overloaded
from benchmarks.overload.tables import describe_overload
from benchmarks.reshard.result import BEFORE, DURING, Resharded
from benchmarks.reshard.tables import describe_reshard
from benchmarks.table import make_table
from benchmarks.watchers.measure import Watched
from infra.local.binaries import find_binaries, pgbouncer_version, postgres_major


@dataclass(slots=True)
class Report:
    """What a run found so far."""

    players: int
    sessions: int
    seconds: int
    rows: dict[str, Row] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)
    sizes: dict[str, dict[int, Measured]] = field(default_factory=dict)
    watched: dict[str, Watched] = field(default_factory=dict)
    resharded: Resharded | None = None
    overloaded: Overloaded | None = None
    verified: str = ""

    def add(self, name: str, measured: Measured, sessions_a_request: int | None = None) -> None:
        """Take one measurement in, and say so."""
        sessions = None if sessions_a_request is None else measured.per_second * sessions_a_request
        row = self.rows[name] = Row(name, measured, sessions)
        print(f"  {name}: {row.rate:,.0f}/s, p50 {measured.p50_ms:.1f} ms, p99 {measured.p99_ms:.1f} ms", flush=True)
        if measured.failed:
            print(f"  {measured.failed} answers were wrong, first: {measured.first_failure}", flush=True)

    def add_watched(self, name: str, watched: Watched) -> None:
        """Take what one crowd saw in, and say so."""
        self.watched[name] = watched
        print(
            f"  {name} watchers: p50 {watched.p50_ms:.0f} ms, p99 {watched.p99_ms:.0f} ms, max {watched.max_ms:.0f} ms,"
            f" {watched.cpu_ms:.0f} ms of CPU a change, {watched.memory_kb:.1f} KB each, {watched.missed} missed",
            flush=True,
        )

    def add_resharded(self, found: Resharded) -> None:
        """Take in what the growth from 4 to 6 shards took, and say so."""
        self.resharded = found
        moved, before, during = found.moved, found.submissions[BEFORE], found.submissions[DURING]
        print(
            f"  {moved.rows:,} rows in {moved.seconds:.0f} s, longest pause {moved.pause_ms_max:.0f} ms,"
            f" p99 {before.p99_ms:.1f} ms before and {during.p99_ms:.1f} ms during, {found.failed} failed",
            flush=True,
        )

    def add_overloaded(self, found: Overloaded) -> None:
        """Take in what the overload did, and say so."""
        self.overloaded = found
        for name, phase in found.phases.items():
            print(
                f"  {name}: {phase.per_second:,.0f}/s due, {phase.accepted_per_second:,.0f}/s accepted,"
                f" p99 {phase.p99_ms:.0f} ms, {phase.shed / phase.seconds:,.0f}/s shed, p99 {phase.shed_p99_ms:.0f} ms",
                flush=True,
            )

    def markdown(self) -> str:
        """All tables."""
        parts = [f"{describe_machine()}."]
        if self.rows or self.sizes or self.watched:
            parts[0] += f" {CONNECTIONS} connections, {self.seconds} s each."
        if self.rows:
            parts += [
                f"{self.players:,} players, {self.sessions:,} sessions in place.",
                self._speeds(),
                self._ratios(),
                self._cpu(),
            ]
        if self.sizes:
            parts.append(self._sizes())
        if self.watched:
            parts.append(self._watched())
        if self.resharded:
            parts += describe_reshard(self.resharded)
        if self.overloaded:
            parts += describe_overload(self.overloaded)
        parts.append(self._judged())
        if self.verified:
            parts.append(f"After all that, `shardboard ranks verify`: {self.verified}")
        return "\n\n".join(parts) + "\n"

    def write(self, path: Path) -> None:
        """Write `path` with the tables and the file of the same name and the ending `.json` with the numbers."""
        path.write_text(self.markdown())
        numbers = {"machine": describe_machine(), "connections": CONNECTIONS} | asdict(self)
        path.with_suffix(".json").write_text(json.dumps(numbers, indent=2) + "\n")

    def _speeds(self) -> str:
        rows = [
            (
                row.name,
                f"{row.measured.per_second:,.0f}",
                "" if row.sessions_per_second is None else f"{row.sessions_per_second:,.0f}",
                f"{row.measured.p50_ms:.2f}",
                f"{row.measured.p99_ms:.2f}",
                str(row.measured.failed),
            )
            for row in self.rows.values()
        ]
        return make_table(("what", "requests/s", "sessions/s", "p50 ms", "p99 ms", "failed"), rows)

    def _ratios(self) -> str:
        """Each operation of the service beside the yardsticks, and its twin over REST; pgbench only writes."""
        yardsticks = {name: (f"plain {name}", "", "empty") for name in ("leaderboard", "rank", "history")}
        yardsticks |= {name: (f"plain {name}", "pgbench", "empty") for name in ("submitScore", "submitScores")}
        rows = [
            (name, *(self._times(name, other) for other in others), self._times(f"REST {name}", name))
            for name, others in yardsticks.items()
        ]
        return make_table(("what", "× plain design", "× pgbench", "× empty route", "REST × GraphQL"), rows)

    def _times(self, name: str, yardstick: str) -> str:
        one, other = self.rows.get(name), self.rows.get(yardstick)
        return "" if one is None or other is None else f"{one.rate / other.rate:.2f}"

    def _cpu(self) -> str:
        """Where the time goes: processor time of one request, by who spends it."""
        measured = {name: row.measured.cpu_us for name, row in self.rows.items() if len(row.measured.cpu_us) > 1}
        roles = list(next(iter(measured.values()), {}))
        rows = [(name, *(f"{spent[role]:,.0f}" for role in roles)) for name, spent in measured.items()]
        return make_table(("CPU µs a request", *roles), rows)

    def _sizes(self) -> str:
        rows = [
            (name, f"{size:,}", f"{one.per_second:,.0f}", f"{one.p50_ms:.2f}", f"{one.p99_ms:.2f}", str(one.failed))
            for name, by_size in self.sizes.items()
            for size, one in by_size.items()
        ]
        return make_table(("what", "players", "requests/s", "p50 ms", "p99 ms", "failed"), rows)

    def _watched(self) -> str:
        heads = ("watchers, a change a second", "p50 ms", "p99 ms", "max ms", "CPU ms a change", "KB each", "missed")
        rows = [
            (
                name,
                *(f"{figure:.0f}" for figure in (one.p50_ms, one.p99_ms, one.max_ms, one.cpu_ms)),
                f"{one.memory_kb:.1f}",
                str(one.missed),
            )
            for name, one in self.watched.items()
        ]
        return make_table(heads, rows)

    def _judged(self) -> str:
        rows = [
            (g.row, g.text, g.found, ("aim " if g.is_aim else "") + ("met" if g.met else "MISSED")) for g in self.goals
        ]
        return make_table(("what", "goal", "measured", ""), rows)


def describe_machine() -> str:
    """What the numbers were measured on."""
    binaries = find_binaries()
    pooler = ".".join(map(str, pgbouncer_version(binaries.pgbouncer)))
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"PostgreSQL {postgres_major(binaries.postgres_bin)}, PgBouncer {pooler}"
    )
