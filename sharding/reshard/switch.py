"""The switch: a group of buckets changes its owner, and nothing else happens.

freeze at the source → the target proves that it has all → compare → release (the point of no return) → claim at the
target. Whatever ends this before the release leaves the source the owner: its freeze runs out by itself. Whatever ends
it after the release leaves the target the owner: the source's word names it, and any mover or API process carries that
word to the target.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from db.ownership import claim_buckets, freeze_buckets, read_ownership, release_buckets, thaw_buckets
from db.postgres import Postgres
from db.replication import has_marker, last_marker, put_marker
from db.standings import read_mark
from domain.errors import Unavailable
from domain.move import Move
from sharding.reshard.compare import Comparison, Difference

# Nobody waits longer for a bucket than this; the "shorter than a blink".
PAUSE_MS_MAX = 250
# Batches under way when a freeze begins have so long to end; all writers of the shard wait behind the freeze meanwhile.
_LOCK_MS = 100
# Between two looks for a marker.
_MARKER_POLL_S = 0.001
# More players than this are not compared within a freeze.
_CHANGED_MAX = 2_000
# Around the release, a shard that went away is waited for; the mover ends then, and the next one goes on.
_PATIENCE_S = 30.0
_PATIENCE_REST_S = 0.1

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Switched:
    """The target owns the buckets; writes to them waited for `pause_ms`."""

    pause_ms: float


@dataclass(frozen=True, slots=True)
class NotNow:
    """The source still owns the buckets, and another try may work; writes to them waited for `pause_ms`."""

    reason: str
    pause_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """The source still owns the buckets, because the target does not hold the same."""

    differences: Sequence[Difference]
    pause_ms: float


Verdict = Switched | NotNow | Refused


class Switch:
    """Switches groups of buckets of one move.

    Args:
        pause_ms_max: the longest time for which writes may wait; what is not switched by then is let go.
    """

    def __init__(self, move: Move, source: Postgres, target: Postgres, *, pause_ms_max: int = PAUSE_MS_MAX) -> None:
        self._move = move
        self._source = source
        self._target = target
        self._pause_ms_max = pause_ms_max
        self._comparison = Comparison(source, target)
        self._marker = 0

    @property
    def rows(self) -> int:
        """How many rows the last comparison of all found."""
        return self._comparison.rows

    async def compare_all(self, buckets: Sequence[int], *, wait_s_max: float) -> None:
        """Compare every row of the buckets while writers go on.

        Raises:
            Unavailable: a shard does not answer, or the target does not catch up within `wait_s_max`.
        """
        self._marker = await last_marker(self._source, self._move.move_id)
        began = await self._comparison.begin(buckets)
        await self._catch_up(wait_s_max)
        await self._comparison.end_first(began)

    async def attempt(self, group: Sequence[int], rest: Sequence[int]) -> Verdict:
        """Switch one group, or leave it as it is.

        Args:
            rest: all buckets of the move that are still the source's, the group's included: what changed of them is
                compared first, so that little is left for the freeze.

        Raises:
            Unavailable: a shard does not answer; the buckets are the source's, or, after the release, the target's.
        """
        if not await self._settle(rest):
            return NotNow(f"shard {self._move.target} does not keep up with the changes")
        began_at = time.monotonic()
        try:
            owned = await self._freeze(group, number := self._next_marker())
            if not owned:
                return NotNow("long transactions hold the source's buckets", _ms_since(began_at))
            verdict = await self._prove(group, number, began_at)
            if verdict is not None:
                return verdict
            # The point of no return is the commit of this call.
            epochs = await self._release(group, owned)
            if not epochs:
                return NotNow("the freeze ran out before the target was ready", _ms_since(began_at))
            await self._claim(epochs)
            return Switched(_ms_since(began_at))
        finally:
            # However this ends, players wait no longer than they must. What was released is not touched by it.
            await asyncio.shield(self._thaw(group))

    async def _freeze(self, group: Sequence[int], number: int) -> dict[int, int]:
        return await freeze_buckets(
            self._source,
            group,
            move_id=self._move.move_id,
            marker=number,
            bound_ms=self._pause_ms_max,
            lock_ms=_LOCK_MS,
        )

    async def _prove(self, group: Sequence[int], number: int, began_at: float) -> NotNow | Refused | None:
        """Whether the target holds exactly what the source does, whose buckets are frozen; None: it does."""
        if not await self._arrives(number, began_at + self._pause_ms_max * 0.6 / 1000):
            return NotNow("the last changes did not reach the target in time", _ms_since(began_at))
        players = await self._comparison.changed(group)
        if len(players) > _CHANGED_MAX:
            return NotNow(f"{len(players)} players changed since they were compared", _ms_since(began_at))
        differences = await self._comparison.differences(players)
        if differences:
            return Refused(differences, _ms_since(began_at))
        return None

    async def _release(self, group: Sequence[int], owned: dict[int, int]) -> dict[int, int]:
        try:
            return await release_buckets(self._source, group, self._move.target, lock_ms=_LOCK_MS)
        except Unavailable:
            # It may have happened. The source alone knows, and is asked until it answers.
            return await self._what_was_released(group, owned)

    async def _what_was_released(self, group: Sequence[int], owned: dict[int, int]) -> dict[int, int]:
        async def ask() -> dict[int, int]:
            # Waits for a release that is still under way, and makes one that has not begun come to nothing.
            await thaw_buckets(self._source, group)
            given = {each.bucket: each.epoch for each in (await read_ownership(self._source)).handed_over}
            return {bucket: given[bucket] for bucket in group if given.get(bucket, 0) > owned[bucket]}

        return await _patiently(ask)

    async def _claim(self, epochs: dict[int, int]) -> None:
        await _patiently(lambda: claim_buckets(self._target, epochs))

    async def _thaw(self, group: Sequence[int]) -> None:
        # Without an answer it runs out by itself.
        with suppress(Unavailable):
            await thaw_buckets(self._source, group)

    async def _settle(self, rest: Sequence[int]) -> bool:
        """Compare what changed since the last look, outside of any freeze; False where the target is too far behind."""
        _, xid = await read_mark(self._source)
        await self._catch_up(wait_s_max=_PATIENCE_S)
        await self._comparison.settle(await self._comparison.changed(rest), xid)
        # How long a marker takes now is how long it will take within the freeze.
        return await self._arrives(await self._sent_marker(), time.monotonic() + self._pause_ms_max * 0.3 / 1000)

    async def _catch_up(self, wait_s_max: float) -> None:
        if not await self._arrives(await self._sent_marker(), time.monotonic() + wait_s_max):
            raise Unavailable(
                f"Shard {self._move.target} does not catch up with {self._move.source}; see the log of its PostgreSQL."
            )

    async def _sent_marker(self) -> int:
        number = self._next_marker()
        await put_marker(self._source, self._move.move_id, number)
        return number

    def _next_marker(self) -> int:
        self._marker += 1
        return self._marker

    async def _arrives(self, number: int, until: float) -> bool:
        while not await has_marker(self._target, self._move.move_id, number):
            if time.monotonic() > until:
                return False
            await asyncio.sleep(_MARKER_POLL_S)
        return True


async def _patiently(step: Callable[[], Awaitable[Answer]]) -> Answer:
    """Try again while a shard is away: what comes after the point of no return has to be known, and done."""
    give_up_at = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return await step()
        except Unavailable:
            if time.monotonic() > give_up_at:
                raise
            await asyncio.sleep(_PATIENCE_REST_S)


def _ms_since(began_at: float) -> float:
    return (time.monotonic() - began_at) * 1000
