"""Which submission ids may have been used before, by any player on any shard.

A shard knows only the ids of its own players. An id that a client uses again for a player of another shard is found by
asking all shards, and this filter makes that rare: a Bloom filter in Redis (Bloom 1970), one for each day that ids
carry, with false positives in about one of 1,500 at a million ids a day. A Redis that may have lost some says of every
id that it may have been used, until ids are so new that none of them can be among those lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from hashlib import blake2b
from itertools import islice
from uuid import UUID

from domain.coalescer import Coalescer
from domain.ids import uuid7_unix_ms
from domain.submission import IdWindow
from domain.tasks import end_tasks
from ranking.keys import SEEN_IDS_LIFE, seen_ids_key
from ranking.store import RanksUnavailable, Store

_BITS = 2**25  # 4 MiB a day
_DAY_MS = 86_400_000
_SLOTS = 1
_BATCH_MAX = 500
_QUEUE_MAX = 50_000
# Of ids that were used while Redis was away, so many are kept to tell it of; of more only that there were more.
_UNTOLD_MAX = 100_000
_TELL_REST_S = 0.5


class SeenIds:
    """The filters of all boards' submission ids; an id is remembered by asking about it."""

    def __init__(self, store: Store, window: IdWindow) -> None:
        self._store = store
        # An id is taken until it is older than the window; a filter lives as long as any id of its day can come.
        self._keep_s = (window.back + window.ahead + timedelta(days=2)) // timedelta(seconds=1)
        self._ahead_ms = window.ahead // timedelta(milliseconds=1)
        self._untold: deque[UUID] = deque()
        self._has_lost = False
        self._telling: asyncio.Task[None] | None = None
        self._asks: Coalescer[UUID, bool] = store.coalesce(
            self._flush, work="check ids", slots=_SLOTS, batch_max=_BATCH_MAX, queue_max=_QUEUE_MAX
        )

    @property
    def untold(self) -> bool:
        """Whether ids were used of which Redis was not told yet."""
        return bool(self._untold) or self._has_lost

    async def close(self) -> None:
        """Stop trying to tell Redis what it lacks."""
        if self._telling is not None:
            await end_tasks([self._telling])

    async def maybe_seen(self, id_: UUID) -> bool:
        """Whether the id may have been asked about before; False is certain.

        Raises:
            RanksUnavailable: Redis does not answer. It is told of the id as soon as it does.
        """
        try:
            return await self._asks.put(id_)
        except RanksUnavailable:
            self._tell_later([id_])
            raise

    async def maybe_seen_all(self, ids: Sequence[UUID]) -> list[bool]:
        """`maybe_seen` for many ids, in order.

        Raises:
            RanksUnavailable: Redis does not answer. It is told of the ids as soon as it does.
        """
        try:
            return await asyncio.gather(*(self._asks.put(id_) for id_ in ids))
        except RanksUnavailable:
            self._tell_later(ids)
            raise

    async def begin(self) -> None:
        """Take it that no id was ever used: no shard holds a session.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        await self._store.seen([SEEN_IDS_LIFE], [self._keep_s, _BITS, self._ahead_ms, "none"])

    async def doubt(self) -> None:
        """Take it that any id of up to now may have been used: there are sessions of which Redis was not told.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        await self._store.seen([SEEN_IDS_LIFE], [self._keep_s, _BITS, self._ahead_ms, "lost"])

    def _tell_later(self, ids: Iterable[UUID]) -> None:
        for id_ in ids:
            if len(self._untold) < _UNTOLD_MAX:
                self._untold.append(id_)
            else:
                self._has_lost = True
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        """Tell Redis of the ids that it was not asked about, until it knows them all."""
        while self.untold:
            await asyncio.sleep(_TELL_REST_S)
            with suppress(RanksUnavailable):
                if self._has_lost:
                    await self.doubt()
                    self._has_lost = False
                while batch := [*islice(self._untold, _BATCH_MAX)]:
                    await self._flush(batch)
                    for _ in batch:
                        self._untold.popleft()

    async def _flush(self, ids: list[UUID]) -> Sequence[bool]:
        # For each day the ids' digests, 12 bytes each: three offsets into the day's filter.
        days: dict[int, list[bytes]] = {}
        places = []
        for id_ in ids:
            digests = days.setdefault(uuid7_unix_ms(id_) // _DAY_MS, [])
            places.append((digests, len(digests)))
            digests.append(blake2b(id_.bytes, digest_size=12).digest())
        packed = [b"".join(digests) for digests in days.values()]
        since, *answers = await self._store.seen(
            [SEEN_IDS_LIFE, *map(seen_ids_key, days)], [self._keep_s, _BITS, self._ahead_ms, "", *packed]
        )
        known = {id(digests): answer for digests, answer in zip(days.values(), answers, strict=True)}
        return [
            uuid7_unix_ms(id_) <= int(since) or known[id(digests)][position] == ord("1")
            for id_, (digests, position) in zip(ids, places, strict=True)
        ]
