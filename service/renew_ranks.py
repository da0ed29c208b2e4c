"""Build the ranks anew, whatever comes between; or, where they are whole, only bring them up to date."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from domain.errors import Unavailable
from ranking.marks import Marks
from ranking.rebuild import RebuildLost
from service.parts import Parts
from service.relay import catch_up, rebuild_ranks

logger = logging.getLogger(__name__)

_LOST_MAX = 5
_OTHERS_WAIT_S = 120.0
_OTHERS_POLL_S = 0.25

Progress = Callable[[int], None]


def no_progress(done: int) -> None:
    """Where nobody watches."""


async def renew_ranks(parts: Parts, progress: Progress = no_progress, *, take_over: bool = False) -> int:
    """Build the ranks anew from every shard; says of how many rows.

    A rebuild of another process is waited for and then done once more: it may have begun before the caller's writes.

    Args:
        progress: told the number of rows done, now and then.
        take_over: end another process's rebuild instead of waiting for it.

    Raises:
        Unavailable: a shard or Redis does not answer, Redis keeps losing writes, or another's rebuild does not end.
    """
    lost = 0
    give_up_at = time.monotonic() + _OTHERS_WAIT_S
    while lost < _LOST_MAX:
        try:
            count = await rebuild_ranks(parts, progress, take_over=take_over)
        except RebuildLost:
            lost += 1
            logger.warning("the rebuild of the ranks was lost; it begins anew")
            continue
        if count is not None:
            return count
        if time.monotonic() > give_up_at:
            raise Unavailable("Another process has been rebuilding the ranks for too long; see `ranks rebuild --help`.")
        await asyncio.sleep(_OTHERS_POLL_S)
    raise Unavailable("Redis keeps losing what is written to it; the ranks were not rebuilt.")


async def bring_ranks_up(parts: Parts, progress: Progress = no_progress) -> int:
    """Carry into the ranks what they lack of every shard; says of how many rows. Ranks that are gone are rebuilt.

    Raises:
        Unavailable: a shard or Redis does not answer.
    """
    marks = Marks(parts.store, parts.projection.keys)
    if not await marks.ready():
        return await renew_ranks(parts, progress)
    counts = await asyncio.gather(*(catch_up(parts, marks, shard.postgres) for shard in parts.router.shards.values()))
    progress(sum(counts))
    return sum(counts)
