"""Compare every standing of every shard with what Redis holds of it.

The order needs no look of its own: Redis keeps it by score and member, and both are compared.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from db.standings import read_rows
from domain.errors import OperatorError, ShardboardError
from domain.standing import Row
from ranking.marks import Marks
from ranking.members import user_id_of
from ranking.stored import StoredEntry, StoredRanks
from service.parts import Parts
from service.renew_ranks import Progress, no_progress
from service.scan_standings import scan_standings

_BATCH = 2_000
# A write between the look at the shard and the look at Redis is no difference: it is gone at the next look. The relay
# mends what the fast path missed within a second.
_LOOKS_MAX = 6
_LOOK_REST_S = 0.4


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that Redis says otherwise than the shards; `player` is the user id, or the bytes that are none."""

    player: str
    what: str
    shards: str | int | float | None
    redis: str | int | float | None


@dataclass(frozen=True, slots=True)
class Verified:
    """The number of standings on all shards, and all differences."""

    standings: int
    differences: list[Difference]


async def verify_ranks(parts: Parts, progress: Progress = no_progress) -> Verified:
    """Compare all, while writes go on and buckets move; what differs is looked at several times before it counts.

    Args:
        progress: told the number of standings compared.

    Raises:
        OperatorError: there are no ranks.
        Unavailable: a shard or Redis does not answer.
    """
    if not await Marks(parts.store, parts.projection.keys).ready():
        raise OperatorError("Redis holds no ranks now; the service rebuilds them, or `shardboard ranks rebuild` does")
    stored = StoredRanks(parts.store, parts.projection.keys)
    compared = ranked = detailed = 0
    suspects: list[int] = []
    async with aclosing(scan_standings(parts.router, _BATCH)) as batches:
        async for rows in batches:
            entries = await stored.read([row.user_id for row in rows])
            suspects += [row.user_id for row, entry in zip(rows, entries, strict=True) if compare(row, entry)]
            compared += len(rows)
            ranked += sum(entry.ranked is not None for entry in entries)
            detailed += sum(entry.has_details for entry in entries)
            progress(compared)
    strangers: list[Difference] = []
    if await stored.count() != (ranked, detailed):
        more, strangers = await _find_strangers(parts, stored)
        suspects += more
    return Verified(compared, await look_again(parts, stored, dict.fromkeys(suspects)) + strangers)


def compare(row: Row | None, entry: StoredEntry) -> list[tuple[str, str | int | None, str | int | float | None]]:
    """What differs between a shard's row (None: there is none) and Redis: (what, the shard's value, Redis's value)."""
    if row is None:
        there = entry.ranked is not None or entry.has_details
        return [("extra", None, entry.ranked)] if there else []
    if entry.ranked is None:
        return [("missing", row.total_score, None)]
    if entry.row is None:
        return [("details", row.username, None)]
    pairs: list[tuple[str, str | int, str | int | float]] = [
        ("total_score", row.total_score, entry.ranked),
        ("games_played", row.games_played, entry.row.games_played),
        ("last_played", row.last_played.isoformat(), entry.row.last_played.isoformat()),
        ("username", row.username, entry.row.username),
        ("revision", row.revision, entry.row.revision),
    ]
    return [pair for pair in pairs if pair[1] != pair[2]]


async def _find_strangers(parts: Parts, stored: StoredRanks) -> tuple[list[int], list[Difference]]:
    """Players in Redis of whom no shard has a row, and members that are no player's at all."""
    unknown: list[int] = []
    garbage: list[Difference] = []
    async for members in stored.members():
        user_ids = []
        for member in members:
            try:
                user_ids.append(user_id_of(member))
            except struct.error:
                garbage.append(Difference(f"0x{member.hex()}", "extra", None, None))
        rows = await _read_rows(parts, user_ids)
        unknown += [user_id for user_id in user_ids if user_id not in rows]
    return unknown, garbage


async def look_again(parts: Parts, stored: StoredRanks, suspects: Iterable[int]) -> list[Difference]:
    """What still differs after several looks."""
    rest, differences = list(suspects), list[Difference]()
    for look in range(_LOOKS_MAX):
        if not rest:
            return []
        if look:
            await asyncio.sleep(_LOOK_REST_S)
        differences = []
        for start in range(0, len(rest), _BATCH):
            batch = rest[start : start + _BATCH]
            rows = await _read_rows(parts, batch)
            entries = await stored.read(batch)
            differences += [
                Difference(str(user_id), *each)
                for user_id, entry in zip(batch, entries, strict=True)
                for each in compare(rows.get(user_id), entry)
            ]
        rest = [int(player) for player in dict.fromkeys(difference.player for difference in differences)]
    return differences


async def _read_rows(parts: Parts, user_ids: Sequence[int]) -> dict[int, Row]:
    found = await parts.router.scatter_keys(user_ids, read_rows)
    for answer in found.values():
        if isinstance(answer, ShardboardError):
            raise answer
    return {user_id: row for user_id, row in found.items() if isinstance(row, Row)}
