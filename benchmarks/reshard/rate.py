"""How fast a load the machine carries at all: what it does not carry before the move says nothing about the move."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.reshard.latencies import Sample, Span, summarize

TRIAL_S = 5.0

_RATES = (2_000, 1_000, 500, 250)
_P99_MS_MAX = 250.0
# From the first fifth of a trial to its last one.
_GROWTH_MS_MAX = 20.0
_PARTS = 5


def list_rates(wanted: int) -> list[int]:
    """What to try, the rate wanted first and then ever lower ones."""
    return [wanted, *(rate for rate in _RATES if rate < wanted)]


def why_too_fast(samples: Sequence[Sample], span: Span) -> str | None:
    """Why a rate that was tried is more than the machine sustains; None: it sustains it.

    A backlog that grows shows before it is long: the median rises from the first part of the trial to the last.
    """
    whole = summarize(samples, [span])
    if whole.failed:
        return f"{whole.failed} of {whole.requests:,} requests failed"
    if whole.p99_ms >= _P99_MS_MAX:
        return f"p99 {whole.p99_ms:,.0f} ms"
    start, end = span
    part = (end - start) / _PARTS
    first, last = (summarize(samples, [(at, at + part)]).p50_ms for at in (start, end - part))
    if last > first + _GROWTH_MS_MAX:
        return f"a growing backlog: p50 rose from {first:,.0f} to {last:,.0f} ms"
    return None
