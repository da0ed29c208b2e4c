"""A Redis that lost its newest writes: nobody who watches sees a standing go back to what it was."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from domain.standing import GLOBAL_BOARD
from infra.local.cluster import LocalCluster
from service import board_watch
from service.parts import Parts
from service.submit import submit_score
from tests.factories import make_submission, opened_parts
from tests.service.boards import ranks_are_there
from tests.service.watching import watching
from tests.waiting import until


@pytest.fixture
async def unmended(ready: LocalCluster) -> AsyncIterator[Parts]:
    """Parts whose relay has built the ranks and then does not look again."""
    async with opened_parts(ready, relay_interval_ms=600_000) as parts:
        await until(lambda: ranks_are_there(parts))
        yield parts


class Backup:
    """The ranks as they were when this was made."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        keys = parts.projection.keys
        self._keys = (keys.ranks, keys.rows, keys.version)
        self._dumps: dict[str, bytes] = {}

    async def make(self) -> None:
        for key in self._keys:
            dump = await self._parts.store.redis.dump(key)
            assert dump is not None
            self._dumps[key] = dump

    async def put_back(self) -> None:
        for key, dump in self._dumps.items():
            await self._parts.store.redis.restore(key, 0, dump, replace=True)
        self._parts.signals.changed(GLOBAL_BOARD)


async def test_an_older_state_is_passed_over_until_it_is_mended(unmended: Parts) -> None:
    await submit_score(unmended, make_submission(1, 10))
    await submit_score(unmended, make_submission(2, 7))
    backup = Backup(unmended)
    await backup.make()
    async with watching(unmended) as seen:
        await submit_score(unmended, make_submission(1, 5))
        await seen.until_shows((1, 15), (2, 7))
        shown = len(seen.tops)
        await backup.put_back()
        # The older state is all that Redis has, and is read again and again.
        board = unmended.watches._boards[GLOBAL_BOARD]
        await until(lambda: board._older_since is not None)
        await submit_score(unmended, make_submission(1, 1))
        await seen.until_shows((1, 16), (2, 7))
        assert len(seen.tops) == shown + 1


async def test_what_stays_older_is_the_truth(unmended: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_watch, "OLDER_S_MAX", 0.0)
    await submit_score(unmended, make_submission(1, 10))
    backup = Backup(unmended)
    await backup.make()
    async with watching(unmended) as seen:
        await submit_score(unmended, make_submission(1, 5))
        await seen.until_shows((1, 15))
        await backup.put_back()
        await seen.until_shows((1, 10))
