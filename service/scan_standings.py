"""Every standing of the board from the shards, while buckets move between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from db.standings import scan_rows
from domain.errors import Unavailable
from domain.ids import USER_ID_MIN
from domain.standing import Row
from sharding.router import Router
from sharding.shard import Shard

# How often in a row the scan finds nothing that it could read, and how long it rests after each time: 2 s in all.
_WAITS_MAX = 40
_WAIT_REST_S = 0.05

Place = tuple[int, int]
_BEGIN: Place = (-1, USER_ID_MIN)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Buckets in ascending order, to be read on the shard that owns them, behind a place (bucket, user id)."""

    buckets: Sequence[int]
    after: Place


async def scan_standings(router: Router, batch: int) -> AsyncGenerator[list[Row], None]:
    """Every standing once, in batches; each bucket is read on a shard that owns it at that moment.

    A bucket that is given away in the middle is read on by its new owner. So nobody is missed who was there when the
    scan began; who came or changed meanwhile may or may not be seen.

    Raises:
        Unavailable: a shard does not answer, or buckets kept moving for too long.
    """
    await router.refresh()
    todo = [_Stretch(buckets, _BEGIN) for _, buckets in await router.locate_all()]
    waits = 0
    while waits < _WAITS_MAX:
        left: list[_Stretch] = []
        waits += 1
        for shard, stretch in await _placed(router, todo):
            place: Place | None = stretch.after
            while place is not None:
                buckets = [bucket for bucket in stretch.buckets if bucket >= place[0]]
                found = await scan_rows(shard.postgres, buckets, place, batch)
                if found is None:
                    left += _split(buckets, place)
                    break
                rows, place = found
                waits = 0
                yield rows
        if not left:
            return
        todo = left
        await router.refresh()
        if waits:
            await asyncio.sleep(_WAIT_REST_S)
    raise Unavailable("Players' data kept being moved between shards; try again.")


async def _placed(router: Router, stretches: Sequence[_Stretch]) -> list[tuple[Shard, _Stretch]]:
    """The stretches, each of one shard: cut where the owner changes."""
    located = await router.locate_all()
    return [
        (shard, _Stretch(buckets, stretch.after))
        for stretch in stretches
        for shard, owned in located
        if (buckets := sorted(set(stretch.buckets).intersection(owned)))
    ]


def _split(buckets: Sequence[int], place: Place) -> list[_Stretch]:
    """What is left behind a place: the bucket in whose middle it is, and those that nobody has begun."""
    begun = [bucket for bucket in buckets if bucket == place[0]]
    fresh = [bucket for bucket in buckets if bucket > place[0]]
    stretches = [_Stretch(begun, place), _Stretch(fresh, _BEGIN)]
    return [stretch for stretch in stretches if stretch.buckets]
