"""The relay's marks: up to which transaction each shard's changes are known to be in the ranks.

A mark lives in Redis beside the data that it speaks of. Redis loses its newest writes first, so a mark that survived
proves that everything written before it did; one that was lost with the data lets the relay begin again before it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from ranking.keys import BoardKeys
from ranking.members import member_of
from ranking.store import Store

_MEMBER_AND_REVISION = struct.Struct(">8sd")


class Marks:
    """The marks of one board, and whether its ranks are there at all."""

    def __init__(self, store: Store, keys: BoardKeys) -> None:
        self._store = store
        self._keys = keys

    async def ready(self) -> bool:
        """Whether the ranks are whole.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        return bool(await self._store.answered(self._store.redis.exists(self._keys.ready)))

    async def read(self, incarnation: str) -> str:
        """A shard's mark as it stands; "0" for a shard that is new here.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        mark = await self._store.answered(self._store.redis.hget(self._keys.marks, incarnation))
        return "0" if mark is None else _text(mark)

    async def strangers_only(self, incarnations: Iterable[str]) -> bool:
        """Whether the ranks are those of other shards altogether: there are marks, and none is of these shards.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        marked = {_text(key) for key in await self._store.answered(self._store.redis.hkeys(self._keys.marks))}
        return bool(marked) and marked.isdisjoint(incarnations)

    async def behind(
        self, incarnation: str, revisions: Sequence[tuple[int, int]], *, expected: str, following: str
    ) -> list[int] | None:
        """Which of (user id, revision) pairs the ranks lack, by index; where they lack none, the mark moves on.

        Returns:
            None where the mark is not the one expected: this pass has to begin again.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        packed = b"".join(_MEMBER_AND_REVISION.pack(member_of(user_id), revision) for user_id, revision in revisions)
        known, *indexes = await self._store.relay_check(self._keys, [incarnation, expected, following, packed])
        return indexes if known else None

    async def lease(self, shard: str, holder: str, lease_ms: int) -> bool:
        """Whether `holder` is the one whose relay looks after `shard` for the next `lease_ms`.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        # Two holders for a moment do no harm: all a relay does is guarded.
        return await take_lease(self._store, self._keys.relay_lease(shard), holder, lease_ms)


async def take_lease(store: Store, key: str, holder: str, lease_ms: int) -> bool:
    """Whether `holder` has the lease `key` for the next `lease_ms`; seldom another has it, too, for a moment.

    Raises:
        RanksUnavailable: Redis does not answer.
    """
    with store.guarded():
        if await store.redis.set(key, holder, nx=True, px=lease_ms):
            return True
        if await store.redis.get(key) != holder.encode():
            return False
        await store.redis.pexpire(key, lease_ms)
        return True


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
