"""What the samples of a load say of the times that one asks for."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

Span = tuple[float, float]
"""From when, until when, as of `time.monotonic`."""


class Sample(NamedTuple):
    """One request, in seconds of `time.monotonic`; answered at infinity: it failed."""

    due_at: float
    sent_at: float
    answered_at: float

    @property
    def is_answered(self) -> bool:
        """Whether it did not fail."""
        return self.answered_at != math.inf


@dataclass(frozen=True, slots=True)
class Latencies:
    """The requests that were due in some spans of so many seconds, each timed from when it was due.

    `failed` have no time. `late_p99_ms` is how much of it was over before the generator sent them, because it was busy
    or all its connections were.
    """

    requests: int
    seconds: float
    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    late_p99_ms: float
    failed: int


def read_samples(path: Path) -> list[Sample]:
    """The samples of a file of the generator's, in the order in which they were due."""
    numbers = array("d")
    numbers.frombytes(path.read_bytes())
    found = iter(numbers)
    return sorted(map(Sample._make, zip(found, found, found, strict=True)))


def summarize(samples: Sequence[Sample], spans: Sequence[Span]) -> Latencies:
    """What was due in any of the spans, whenever it was answered.

    Args:
        samples: in the order in which they were due.
    """
    spans = merge(spans)
    due = [sample for span in spans for sample in _within(samples, span)]
    times = sorted(each.answered_at - each.due_at for each in due if each.is_answered)
    late = sorted(each.sent_at - each.due_at for each in due if each.sent_at != math.inf)
    seconds = sum(end - start for start, end in spans)
    return Latencies(
        requests=len(due),
        seconds=seconds,
        per_second=len(due) / seconds if seconds else 0.0,
        p50_ms=percentile(times, 50) * 1000,
        p99_ms=percentile(times, 99) * 1000,
        max_ms=percentile(times, 100) * 1000,
        late_p99_ms=percentile(late, 99) * 1000,
        failed=len(due) - len(times),
    )


def by_second(samples: Sequence[Sample], span: Span) -> Iterator[tuple[float, Latencies]]:
    """Second by second of a span: when it began, counted from the span's beginning, and what was due in it."""
    start, end = span
    for second in range(math.ceil(end - start)):
        yield float(second), summarize(samples, [(start + second, min(start + second + 1, end))])


def percentile(ascending: Sequence[float], percent: int) -> float:
    """The value that so many percent are below; 0 where there are none."""
    return ascending[min(len(ascending) * percent // 100, len(ascending) - 1)] if ascending else 0.0


def merge(spans: Sequence[Span]) -> list[Span]:
    """The same times, none of them twice; in order, and without spans in which nothing is."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        elif start < end:
            merged.append((start, end))
    return merged


def _within(samples: Sequence[Sample], span: Span) -> Sequence[Sample]:
    first, last = (bisect_left(samples, at, key=lambda sample: sample.due_at) for at in span)
    return samples[first:last]
