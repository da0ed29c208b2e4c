"""Carry into the ranks what the fast path did not: the mending half of the write path.

Every process runs a relay; a lease in Redis lets one of them look after each shard at a time. Whatever a relay does is
guarded by revisions and marks, so two at once are a waste and not an error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing, suppress
from secrets import token_hex

from db.postgres import Postgres
from db.standings import ChangedRow, read_changed, read_held_rows, read_mark, read_snapshot
from domain import tracing
from domain.errors import ShardboardError, Unavailable
from domain.standing import GLOBAL_BOARD
from ranking.marks import Marks
from ranking.rebuild import Rebuild, RebuildLost
from ranking.store import RanksUnavailable
from service.parts import Parts
from service.relay_lag import Caught, RelayLag
from service.scan_standings import scan_standings
from service.shard_workers import ShardWorkers
from sharding.shard import Shard

logger = logging.getLogger(__name__)

_CHANGED_BATCH = 5_000
_REBUILD_BATCH = 2_000
# A relay that died is followed by another after so many of its intervals.
_LEASE_INTERVALS = 4
# How often a pass mends what it found before it leaves the rest to the next.
_MENDS_MAX = 3


class Relay:
    """Looks at each shard every `interval_s` and brings the ranks up to it; rebuilds them where they are gone."""

    def __init__(self, parts: Parts, *, interval_s: float) -> None:
        self._parts = parts
        self._interval_s = interval_s
        self._holder = token_hex(8)
        self._marks = Marks(parts.store, parts.projection.keys)
        self._workers = ShardWorkers(parts.router, self._forever)
        self._complaints: dict[str, str] = {}
        self._known = False

    def start(self) -> None:
        """Begin, in the background."""
        self._workers.start()

    async def close(self) -> None:
        """Stop."""
        await self._workers.close()

    async def _forever(self, shard: Shard) -> None:
        lag = RelayLag(shard.postgres)
        try:
            while True:
                try:
                    await self._look_at(shard, lag)
                    self._complaints.pop(shard.name, None)
                except ShardboardError as error:
                    self._complain(shard.name, str(error))
                    await lag.not_whole()
                except Exception:
                    logger.exception("the relay of shard %s failed; it tries again", shard.name)
                    await lag.not_whole()
                await asyncio.sleep(self._interval_s)
        finally:
            lag.unknown()

    async def _look_at(self, shard: Shard, lag: RelayLag) -> None:
        lease_ms = int(self._interval_s * 1000 * _LEASE_INTERVALS)
        if not await self._marks.lease(shard.name, self._holder, lease_ms):
            lag.unknown()
            return
        leads = shard is next(iter(self._parts.router.shards.values()), None)
        if await self._marks.ready() and not (leads and await self._are_strangers()):
            caught = await _catch_up(self._parts, self._marks, shard.postgres)
            lag.looked(caught)
        elif leads:
            logger.warning("the ranks of board %s are gone, or another deployment's; rebuilding them", GLOBAL_BOARD)
            with suppress(RebuildLost):
                await rebuild_ranks(self._parts)
        else:
            await lag.not_whole()

    async def _are_strangers(self) -> bool:
        """Whether Redis holds the ranks of another deployment: its players would never leave by themselves."""
        if not self._known:
            try:
                marks = await self._parts.router.scatter(read_mark)
            except Unavailable:
                # Not to be told while a shard is away; its neighbours' changes must not wait for that.
                return False
            if await self._marks.strangers_only([incarnation for incarnation, _ in marks]):
                return True
            self._known = True
        return False

    def _complain(self, shard: str, message: str) -> None:
        """Log a trouble once, not at every look."""
        if self._complaints.get(shard) != message:
            self._complaints[shard] = message
            logger.warning("the relay of shard %s waits: %s", shard, message)


async def catch_up(parts: Parts, marks: Marks, postgres: Postgres) -> int:
    """Bring the ranks up to one shard; says how many rows they had missed.

    Up to all rows that the shard holds, of buckets that it does not own, too: a move brings a change here once, maybe
    before the bucket, and the shard that it comes from may be gone before its own relay looked. What is older than in
    the ranks does nothing there.

    Raises:
        Unavailable: the shard or Redis does not answer.
    """
    return (await _catch_up(parts, marks, postgres)).rows


async def _catch_up(parts: Parts, marks: Marks, postgres: Postgres) -> Caught:
    incarnation, mark_now, none_since = await read_snapshot(postgres)
    mark = await marks.read(incarnation)
    # A mark is a number, or "number/step" where an earlier pass ended on its way.
    since = int(mark.partition("/")[0])
    # Where a transaction stays open, the mark stays and others above it commit all the same.
    if since == mark_now == none_since and mark == str(since):
        return Caught(0, since)
    mended = 0
    place: tuple[int, int | None] = (since, None)
    pass_name = token_hex(4)
    for step in range(1, 2**31):
        changed = await read_changed(postgres, place, _CHANGED_BATCH)
        last = len(changed) < _CHANGED_BATCH
        following = str(mark_now) if last else f"{since}/{pass_name}.{step}"
        found = await _mend(parts, marks, postgres, incarnation, changed, mark, following)
        if found is None:
            return Caught(mended, None)
        mended += found
        if last:
            break
        mark, place = following, (changed[-1].xid, changed[-1].user_id)
    if mended:
        logger.info("the relay carried %d row(s) of shard %s into the ranks", mended, postgres.name)
    return Caught(mended, mark_now)


async def _mend(
    parts: Parts,
    marks: Marks,
    postgres: Postgres,
    incarnation: str,
    changed: list[ChangedRow],
    expected: str,
    following: str,
) -> int | None:
    """Apply what the ranks lack of the changed rows and move the mark; None where the pass has to begin again."""
    mended = 0
    for _ in range(_MENDS_MAX):
        revisions = [(row.user_id, row.revision) for row in changed]
        behind = await marks.behind(incarnation, revisions, expected=expected, following=following)
        if not behind:
            return None if behind is None else mended
        keys = [(changed[index].bucket, changed[index].user_id) for index in behind]
        with tracing.step("relay rows", {"shardboard.shard": postgres.name, "shardboard.rows": len(keys)}):
            rows, nameless = await read_held_rows(postgres, keys)
            if rows:
                mended += await parts.projection.apply_all(rows.values())
                parts.signals.changed(GLOBAL_BOARD)
        # What an ended move took away again is nothing that the mark would have to wait for.
        gone = {user_id for _, user_id in keys} - rows.keys() - nameless
        changed = [row for row in changed if row.user_id not in gone]
    return None


async def rebuild_ranks(
    parts: Parts, progress: Callable[[int], None] = lambda rows: None, *, take_over: bool = False
) -> int | None:
    """Build the ranks anew from every shard; says of how many rows, or None where another process is at it.

    Args:
        progress: told the number of rows done, now and then.
        take_over: end another process's rebuild instead of leaving it to it.

    Raises:
        RebuildLost: Redis lost writes meanwhile; begin again.
        Unavailable: a shard or Redis does not answer.
    """
    store, keys = parts.store, parts.projection.keys
    if take_over:
        await store.answered(store.redis.delete(keys.building))
    rebuild = await Rebuild.begin(store, keys)
    if rebuild is None:
        return None
    count = 0
    try:
        marks = await _read_marks(parts)
        async with aclosing(scan_standings(parts.router, _REBUILD_BATCH)) as batches:
            async for rows in batches:
                await rebuild.add(rows)
                count += len(rows)
                progress(count)
        await rebuild.finish(marks)
        if not count:
            await parts.seen_ids.begin()
    except BaseException:
        with suppress(RanksUnavailable):
            await rebuild.give_up()
        raise
    parts.signals.changed(GLOBAL_BOARD)
    return count


async def _read_marks(parts: Parts) -> dict[str, int]:
    """Each shard's mark by its incarnation.

    One that is missing, of a shard that does not answer or comes later, makes the relay look at all that shard holds.
    """
    shards = parts.router.shards.values()
    marks = await asyncio.gather(*(read_mark(shard.postgres) for shard in shards), return_exceptions=True)
    for mark in marks:
        if isinstance(mark, BaseException) and not isinstance(mark, Unavailable):
            raise mark
    return dict(mark for mark in marks if not isinstance(mark, BaseException))
