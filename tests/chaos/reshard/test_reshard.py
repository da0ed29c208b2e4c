"""Four shards become five and four again while players play and parts are killed: `make chaos-reshard`, cut short."""

from __future__ import annotations

import pytest

from tests.chaos.reshard.run import run

# With it every fault comes to its step, and one of the first four shards is among those that go.
SEED = 1


# A minute on a machine that does nothing else.
@pytest.mark.timeout(600)
async def test_no_promise_is_broken_while_buckets_move_and_parts_are_killed() -> None:
    report = await run(SEED, print, short=True)
    assert report.violations == []
    # It looked at something, and killed somebody.
    assert report.submissions > 2_000
    assert report.reads > 200
    assert report.hits.total() >= 4
    assert sum(count for (_, victim), count in report.hits.items() if victim == "mover") >= 1
