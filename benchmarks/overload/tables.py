"""The overload in the report."""

from __future__ import annotations

from benchmarks.overload.generator import CONNECTIONS
from benchmarks.overload.measure import Overloaded
from benchmarks.table import make_table


def describe_overload(found: Overloaded) -> list[str]:
    """The paragraphs and the table of one run."""
    heads = ("submissions", "due/s", "accepted/s", "shed/s", "p50 ms", "p99 ms", "shed p50 ms", "shed p99 ms", "wrong")
    rows = [
        (
            name,
            *(f"{rate:,.0f}" for rate in (phase.per_second, phase.accepted_per_second, phase.shed / phase.seconds)),
            *(f"{ms:.1f}" for ms in (phase.p50_ms, phase.p99_ms, phase.shed_p50_ms, phase.shed_p99_ms)),
            str(phase.wrong),
        )
        for name, phase in found.phases.items()
    ]
    wrong = next((phase.first_wrong for phase in found.phases.values() if phase.first_wrong), "")
    parts = [
        f"Overload: {found.times:g} × the {found.capacity:,.0f} submissions/s that the service did just before, by the "
        f"clock over {CONNECTIONS:,} connections; the generator shares its cores.",
        make_table(heads, rows),
        f"`shardboard ranks verify`: {found.verified}",
    ]
    return [*parts, f"The first answer that was wrong: `{wrong}`"] if wrong else parts
