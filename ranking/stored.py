"""The ranks as Redis stores them, entry by entry: for whoever checks them, not for answers."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from domain.standing import Row
from ranking.keys import BoardKeys
from ranking.members import member_of, unpack_row
from ranking.store import Store

_SCAN_COUNT = 2_000


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """What Redis holds of one player.

    ranked: the score in the sorted set as a total; None where the player is not in it.
    row: the whole row; None where the player's details are missing, unreadable, or belong to no rank.
    has_details: whether there are any.
    """

    ranked: int | float | None
    row: Row | None
    has_details: bool


class StoredRanks:
    """The entries of one board."""

    def __init__(self, store: Store, keys: BoardKeys) -> None:
        self._store = store
        self._keys = keys

    async def read(self, user_ids: Sequence[int]) -> list[StoredEntry]:
        """What there is of each player, in the order asked for, all of one moment.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        if not user_ids:
            return []
        # Bytes are as good a member as text, whatever the client library's types say.
        members: list[Any] = [member_of(user_id) for user_id in user_ids]
        with self._store.guarded():
            pipeline = self._store.redis.pipeline(transaction=True)
            pipeline.zmscore(self._keys.ranks, members)
            pipeline.hmget(self._keys.rows, members)
            scores, details = await pipeline.execute()
        return [_entry(*each) for each in zip(members, scores, details, strict=True)]

    async def count(self) -> tuple[int, int]:
        """How many players have a rank, and how many have details.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        with self._store.guarded():
            pipeline = self._store.redis.pipeline(transaction=True)
            pipeline.zcard(self._keys.ranks)
            pipeline.hlen(self._keys.rows)
            ranks, rows = await pipeline.execute()
        return ranks, rows

    async def members(self) -> AsyncIterator[list[bytes]]:
        """Every member of either key, some more than once, in batches.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        for key, scan in ((self._keys.ranks, self._store.redis.zscan), (self._keys.rows, self._store.redis.hscan)):
            cursor = -1
            while cursor:
                answer: Any = await self._store.answered(scan(key, max(cursor, 0), count=_SCAN_COUNT))
                cursor, found = answer
                yield list(dict(found))


def _entry(member: bytes, score: float | None, packed: bytes | None) -> StoredEntry:
    row = None
    if score is not None and packed is not None:
        try:
            row = unpack_row(member, repr(score).encode(), packed)
        except (struct.error, UnicodeDecodeError, OverflowError, ValueError):
            row = None
    ranked = None if score is None else int(-score) if score.is_integer() else -score
    return StoredEntry(ranked, row, packed is not None)
