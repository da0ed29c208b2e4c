"""Write down every session of all shards, oldest first, in the format that import reads."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from db.partitions import read_pruned_before
from db.postgres import Postgres
from db.session_stream import NamedSession, stream_sessions
from service.renew_ranks import Progress, no_progress
from service.session_files import format_instant

_order = attrgetter("session.id")


@dataclass(frozen=True, slots=True)
class Exported:
    """How many sessions were written; and from when on, where older ones were pruned: totals still count those."""

    sessions: int
    pruned_before: datetime | None


async def export_sessions(
    direct: Mapping[str, Postgres],
    write: Callable[[Iterable[tuple[object, ...]]], None],
    progress: Progress = no_progress,
) -> Exported:
    """Merge the shards' sessions by id; holds a batch of each shard in memory.

    Args:
        direct: every shard by its name, not through a PgBouncer.
        write: writes rows with the columns of `service.session_files`.
        progress: told the number of sessions written.

    Raises:
        Unavailable: a shard does not answer.
    """
    pruned = [await _read_pruned_before(postgres) for postgres in direct.values()]
    count = 0
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(aclosing(stream_sessions(each))) for each in direct.values()]
        async for batch in merge(streams):
            write(_columns(each) for each in batch)
            count += len(batch)
            progress(count)
    return Exported(count, max((instant for instant in pruned if instant), default=None))


async def merge(streams: Sequence[AsyncIterator[list[NamedSession]]]) -> AsyncIterator[list[NamedSession]]:
    """Streams of batches in order of id, as one such stream."""
    heads = dict(enumerate(await asyncio.gather(*(anext(stream, []) for stream in streams))))
    while heads := {index: batch for index, batch in heads.items() if batch}:
        # Everything up to the smallest of the batches' ends is here: what comes next of any stream is behind it.
        upto = min(_order(batch[-1]) for batch in heads.values())
        ready: list[NamedSession] = []
        for index, batch in heads.items():
            count = bisect_right(batch, upto, key=_order)
            ready += batch[:count]
            heads[index] = batch[count:]
        ready.sort(key=_order)
        yield ready
        empty = [index for index, batch in heads.items() if not batch]
        heads |= zip(empty, await asyncio.gather(*(anext(streams[index], []) for index in empty)), strict=True)


def _columns(named: NamedSession) -> tuple[object, ...]:
    session = named.session
    return (
        # Text, as in GraphQL: many a JSON reader rounds numbers of 64 bits.
        str(session.user_id),
        named.username,
        session.score,
        session.game_mode,
        session.duration_seconds,
        format_instant(session.played_at),
        str(session.id),
        named.shown_username,
    )


async def _read_pruned_before(postgres: Postgres) -> datetime | None:
    async with postgres.read() as connection:
        return await read_pruned_before(connection)
