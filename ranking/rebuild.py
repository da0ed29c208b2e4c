"""Build a board's ranks beside the live ones and put them in their place at once.

Nobody sees a half board: until the end readers see the old ranks, or none where there were none. Rows that change
meanwhile are applied to both (apply.lua). Each step names the one before it: a Redis that lost writes on the way, or
another process that took over, ends the rebuild, and the next one begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from secrets import token_hex

from domain.standing import Row
from ranking.keys import BoardKeys
from ranking.members import script_arguments
from ranking.store import Store

# A rebuild whose process died is taken over after so long; each step renews it.
LEASE_MS = 10_000


class RebuildLost(Exception):
    """Redis lost writes, or another process took the rebuild over."""


class Rebuild:
    """One rebuild of one board; made by `begin`."""

    def __init__(self, store: Store, keys: BoardKeys) -> None:
        self._store = store
        self._keys = keys
        self._token = token_hex(8)
        self._step = 0

    @classmethod
    async def begin(cls, store: Store, keys: BoardKeys) -> Rebuild | None:
        """A rebuild that holds the lease; None where another one is under way.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        rebuild = cls(store, keys)
        with store.guarded():
            if not await store.redis.set(keys.building, rebuild._name(0), nx=True, px=LEASE_MS):
                return None
            # What a rebuild that died left behind.
            await store.redis.unlink(keys.ranks_next, keys.rows_next)
        return rebuild

    async def add(self, rows: Iterable[Row]) -> None:
        """Add rows; the newer revision wins over what is there.

        Raises:
            RebuildLost: it has to begin anew.
            RanksUnavailable: Redis does not answer.
        """
        steps = (self._name(self._step), self._name(self._step + 1))
        if not await self._store.build(self._keys, [*steps, LEASE_MS, *script_arguments(rows)]):
            raise RebuildLost
        self._step += 1

    async def finish(self, marks: Mapping[str, int]) -> None:
        """Put what was built in the place of what is read.

        Args:
            marks: for each shard's incarnation the mark that was read before its first row was.

        Raises:
            RebuildLost: it has to begin anew.
            RanksUnavailable: Redis does not answer.
        """
        pairs = [str(part) for pair in marks.items() for part in pair]
        if not await self._store.swap(self._keys, [self._name(self._step), *pairs]):
            raise RebuildLost

    async def give_up(self) -> None:
        """Let the next rebuild begin at once.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        with self._store.guarded():
            if await self._store.redis.get(self._keys.building) == self._name(self._step).encode():
                await self._store.redis.delete(self._keys.building)

    def _name(self, step: int) -> str:
        return f"{self._token}/{step}"
