"""The growth from 4 to 6 shards in the report."""

from __future__ import annotations

from benchmarks.reshard.latencies import Latencies
from benchmarks.reshard.result import Resharded
from benchmarks.table import make_table


def describe_reshard(found: Resharded) -> list[str]:
    """The paragraphs and tables of one run."""
    parts = [
        f"From 4 to 6 shards under load, {found.players:,} players and {found.sessions:,} sessions in place. "
        f"{_rate(found)}",
        _latencies(found),
        _moved(found),
        _cores(found),
    ]
    if found.trouble:
        parts.append(f"What went wrong: {found.trouble}")
    if found.first_failure:
        parts.append(f"The first request that failed: `{found.first_failure}`")
    parts.append(
        f"`shardboard shards verify`: {found.shards_verified}\n\n`shardboard ranks verify`: {found.ranks_verified}"
    )
    return parts


def _rate(found: Resharded) -> str:
    said = [f"Not {rate:,} submissions a second ({why})." for rate, why in found.too_fast.items()]
    if found.sustained:
        said.append(f"{found.rate:,} submissions a second, which the machine sustained before the move.")
    else:
        said.append(f"{found.rate:,} submissions a second all the same: the machine sustained none of these.")
    return " ".join(said)


def _latencies(found: Resharded) -> str:
    rows = [
        (f"{what} {when}", *_row(times))
        for what, spans in (("submissions", found.submissions), ("rank reads", found.ranks))
        for when, times in spans.items()
        if times.requests
    ]
    heads = ("timed from when it was due", "s", "due/s", "p50 ms", "p99 ms", "max ms", "sent late p99 ms", "failed")
    return make_table(heads, rows)


def _row(times: Latencies) -> tuple[str, ...]:
    figures = (times.p50_ms, times.p99_ms, times.max_ms, times.late_p99_ms)
    rates = (f"{times.seconds:.1f}", f"{times.per_second:,.0f}")
    return (*rates, *(f"{figure:.1f}" for figure in figures), str(times.failed))


def _moved(found: Resharded) -> str:
    moved = found.moved
    heads = ("moves", "buckets", "rows", "MB", "s until switched", "s cleaned up too", "MB/s", "longest pause ms")
    figures = (
        f"{moved.moves}" + (f" ({moved.unended} unended)" if moved.unended else ""),
        f"{moved.buckets:,}",
        f"{moved.rows:,}",
        f"{moved.mb:,.0f}",
        f"{moved.seconds_switched:.1f}",
        f"{moved.seconds:.1f}",
        f"{moved.mb_per_second:.1f}",
        f"{moved.pause_ms_max:.1f}",
    )
    return make_table(heads, [figures])


def _cores(found: Resharded) -> str:
    """Where the processor's time went; a shard that was added has its part in the roles of the others."""
    roles = list(dict.fromkeys(role for spent in found.cores.values() for role in spent))
    rows = [(name, *(f"{spent.get(role, 0.0):.2f}" for role in roles)) for name, spent in found.cores.items()]
    return make_table(("cores kept busy", *roles), rows)
