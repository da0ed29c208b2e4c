"""Every kind of fault once, under traffic: `make chaos`, cut short."""

from __future__ import annotations

import pytest

from tests.chaos.faults.kinds import KINDS
from tests.chaos.faults.run import run

SEED = 1


# A minute on a machine that does nothing else.
@pytest.mark.timeout(600)
async def test_no_promise_is_broken_whatever_fails() -> None:
    report = await run(SEED, print, short=True)
    assert report.violations == []
    # It looked at something, and every kind of fault that this machine allows was there.
    assert report.submissions > 1_000
    assert report.reads > 200
    assert report.struck.keys() == KINDS.keys() - report.impossible.keys()
    assert report.impossible.keys() <= {"a full disk"}
