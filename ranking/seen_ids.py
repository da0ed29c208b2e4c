"""Which submission ids may have been used before, by any player on any shard.

A shard knows only the ids of its own players. An id that a client uses again for a player of another shard is found by
asking all shards, and this filter makes that rare: a Bloom filter in Redis (Bloom 1970), one for each day that ids
carry, with false positives in about one of 1,500 at a million ids a day, and no false negatives unless Redis lost data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from hashlib import blake2b
from uuid import UUID

from domain.coalescer import Coalescer
from domain.ids import uuid7_unix_ms
from domain.submission import IdWindow
from ranking.keys import seen_ids_key
from ranking.store import Store

_BITS = 2**25  # 4 MiB a day
_DAY_MS = 86_400_000
_SLOTS = 1
_BATCH_MAX = 500
_QUEUE_MAX = 50_000


class SeenIds:
    """The filters of all boards' submission ids; an id is remembered by asking about it."""

    def __init__(self, store: Store, window: IdWindow) -> None:
        self._store = store
        # An id is taken until it is older than the window; a filter lives as long as any id of its day can come.
        self._keep_s = (window.back + window.ahead + timedelta(days=2)) // timedelta(seconds=1)
        self._asks: Coalescer[UUID, bool] = Coalescer(
            self._flush, name="Redis", slots=_SLOTS, batch_max=_BATCH_MAX, queue_max=_QUEUE_MAX
        )

    async def maybe_seen(self, id_: UUID) -> bool:
        """Whether the id may have been asked about before; False is certain.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        return await self._asks.put(id_)

    async def maybe_seen_all(self, ids: Sequence[UUID]) -> list[bool]:
        """`maybe_seen` for many ids, in order.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        return await asyncio.gather(*(self._asks.put(id_) for id_ in ids))

    async def _flush(self, ids: list[UUID]) -> Sequence[bool]:
        # For each day the ids' digests, 12 bytes each: three offsets into the day's filter.
        days: dict[int, list[bytes]] = {}
        places = []
        for id_ in ids:
            digests = days.setdefault(uuid7_unix_ms(id_) // _DAY_MS, [])
            places.append((digests, len(digests)))
            digests.append(blake2b(id_.bytes, digest_size=12).digest())
        packed = [b"".join(digests) for digests in days.values()]
        answers = await self._store.seen([seen_ids_key(day) for day in days], [self._keep_s, _BITS, *packed])
        known = {id(digests): answer for digests, answer in zip(days.values(), answers, strict=True)}
        return [known[id(digests)][position] == ord("1") for digests, position in places]
