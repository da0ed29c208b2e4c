"""What the fault run found, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.chaos.faults.others import Row, table_of
from tests.chaos.faults.usage import Usage
from tests.chaos.report import Counts, spread


@dataclass
class Report(Counts):
    """What a run found.

    struck: how often there was which kind of fault.
    impossible: kinds that this machine does not allow, and why.
    rows: the table of what other shards' players noticed.
    usages: what each API process held before and after.
    """

    struck: Counter[str] = field(default_factory=Counter)
    impossible: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    usages: list[Mapping[str, Usage]] = field(default_factory=list)


def summarize(report: Report) -> list[str]:
    """A report in lines."""
    return [
        report.told,
        f"until acknowledged, retries included: {spread(report.waits_ms)}",
        f"the same while nothing was away: {spread(report.calm_waits_ms)}",
        *(f"{kind}: not possible here, {why}" for kind, why in report.impossible.items()),
        f"faults: {', '.join(f'{kind} {count}' for kind, count in sorted(report.struck.items()))}",
        *(
            f"{name} at rest {when}: {usage}"
            for when, usages in zip(("before", "after"), report.usages, strict=False)
            for name, usage in usages.items()
        ),
        *table_of(report.rows),
        report.verdict,
    ]
