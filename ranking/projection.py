"""The ranks of a board as Redis holds them: told of new rows, asked for ranks, runs and single standings.

What many callers want in one tick of the loop goes out as one command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from domain.coalescer import Coalescer
from domain.standing import Row, Standing, StandingPage, Top, percentile_of
from ranking.keys import BoardKeys
from ranking.members import member_of, score_of, script_arguments, unpack_row
from ranking.store import RanksUnavailable, Store

# Commands to Redis under way at once, a process, for each of the two coalesced kinds.
_SLOTS = 1
_BATCH_MAX = 500
_QUEUE_MAX = 50_000

_NOT_READY = "Ranks are unavailable: they are being rebuilt; try again shortly."


class Place(Struct, frozen=True, gc=False):
    """A rank, 1 for the best, among so many players."""

    rank: int
    player_count: int


class _Applied(Struct, frozen=True):
    row: Row | None
    user_id: int
    total: int


class Projection:
    """One board's ranks."""

    def __init__(self, store: Store, board: str) -> None:
        self.keys = BoardKeys(board)
        self._store = store
        self._applies: Coalescer[_Applied, Place] = store.coalesce(
            self._flush_applies, work="apply rows", slots=_SLOTS, batch_max=_BATCH_MAX, queue_max=_QUEUE_MAX
        )
        self._reads: Coalescer[int, Standing | None] = store.coalesce(
            self._flush_reads, work="read standings", slots=_SLOTS, batch_max=_BATCH_MAX, queue_max=_QUEUE_MAX
        )

    async def apply(self, row: Row | None, user_id: int, total: int) -> Place:
        """Tell the ranks of a player's new row, if there is one, and where `total` of that player stands now.

        Raises:
            RanksUnavailable: the row was not taken over, or no rank is to be had; the relay mends the former.
        """
        return await self._applies.put(_Applied(row, user_id, total))

    async def apply_each(self, items: Iterable[tuple[Row | None, int, int]]) -> list[Place]:
        """`apply` for many (row, user id, total), in order.

        Raises:
            RanksUnavailable: as `apply`, for any of them.
        """
        return await asyncio.gather(*(self._applies.put(_Applied(*item)) for item in items))

    async def apply_all(self, rows: Iterable[Row]) -> int:
        """Take over many rows; says how many of them were newer than what was there.

        Raises:
            RanksUnavailable: no answer, or no ranks to take them over into.
        """
        packed = script_arguments(rows)
        ready, _, changed = await self._store.apply(self.keys, [len(packed) // 3, *packed])
        if not ready:
            raise RanksUnavailable(_NOT_READY)
        return changed

    async def standing(self, user_id: int) -> Standing | None:
        """One player's standing.

        Raises:
            RanksUnavailable: no answer, or no ranks.
        """
        return await self._reads.put(user_id)

    async def standings(self, user_ids: Sequence[int]) -> list[Standing | None]:
        """Several players' standings, in the order asked for, all of one moment.

        Raises:
            RanksUnavailable: no answer, or no ranks.
        """
        return await self._flush_reads(user_ids)

    async def page(self, first: int, after: tuple[int, int] | None) -> StandingPage:
        """The `first` best standings behind the place `after`, a total and a user id; from the top where None.

        Raises:
            RanksUnavailable: no answer, or no ranks.
        """
        place = (b"", b"") if after is None else (score_of(after[0]), member_of(after[1]))
        position, player_count, standings = await self._slice("after", first, *place)
        return StandingPage(
            standings, position, player_count, position + len(standings) < player_count, datetime.now(UTC)
        )

    async def top(self, first: int, known: int, *, at_hand: bool) -> Top | None:
        """The `first` best standings and the number of that state, the same for whoever reads it.

        Args:
            known: the highest number seen so far; a lower one never comes back, whatever Redis lost.
            at_hand: whether the caller has the standings of that number; None comes back where nothing changed since.

        Raises:
            RanksUnavailable: no answer, or no ranks.
        """
        ready, sequence, *rest = await self._store.top(self.keys, [first, known, int(at_hand)])
        if not ready:
            raise RanksUnavailable(_NOT_READY)
        if not rest:
            return None
        player_count, *run = rest
        rows = [unpack_row(*entry) for entry in zip(run[::3], run[1::3], run[2::3], strict=True)]
        return Top(self.keys.board, sequence, rank_run(rows, 0, 0, player_count), datetime.now(UTC))

    async def around(self, user_id: int, radius: int) -> list[Standing] | None:
        """The player's standing with up to `radius` on both sides; None where the player has none.

        Raises:
            RanksUnavailable: no answer, or no ranks.
        """
        position, _, standings = await self._slice("around", radius, member_of(user_id))
        return None if position < 0 else standings

    async def _flush_applies(self, batch: list[_Applied]) -> list[Place]:
        # Several sessions of one player in one batch share the row that the batch left; of rows that different batches
        # left, answered in whatever order, the newest counts.
        rows: dict[int, Row] = {}
        for row in (item.row for item in batch if item.row is not None):
            if row.user_id not in rows or row.revision > rows[row.user_id].revision:
                rows[row.user_id] = row
        arguments: list[bytes | int] = [len(rows), *script_arguments(rows.values())]
        for item in batch:
            arguments += (member_of(item.user_id), score_of(item.total))
        answer = await self._store.apply(self.keys, arguments)
        if not answer[0]:
            raise RanksUnavailable(_NOT_READY)
        return [Place(better + 1, answer[1]) for better in answer[3:]]

    async def _flush_reads(self, user_ids: Sequence[int]) -> list[Standing | None]:
        members = [member_of(user_id) for user_id in user_ids]
        answer = await self._store.read(self.keys, members)
        if not answer[0]:
            raise RanksUnavailable(_NOT_READY)
        player_count = answer[1]
        return [
            None if score is None else ranked(unpack_row(member, score, packed), better + 1, player_count)
            for member, score, packed, better in zip(members, answer[2::3], answer[3::3], answer[4::3], strict=True)
        ]

    async def _slice(self, *arguments: bytes | int | str) -> tuple[int, int, list[Standing]]:
        ready, player_count, position, better, *run = await self._store.slice(self.keys, arguments)
        if not ready:
            raise RanksUnavailable(_NOT_READY)
        rows = [unpack_row(*entry) for entry in zip(run[::3], run[1::3], run[2::3], strict=True)]
        return position, player_count, rank_run(rows, better, position, player_count)


def ranked(row: Row, rank: int | None, player_count: int) -> Standing:
    """A row with its rank among `player_count` players; rank None where it cannot be told."""
    return Standing(
        row.user_id,
        row.username,
        row.total_score,
        row.games_played,
        row.last_played,
        rank,
        None if rank is None else percentile_of(rank, player_count),
    )


def rank_run(rows: Sequence[Row], better: int, position: int, player_count: int) -> list[Standing]:
    """Rows in board order with their competition ranks, which follow from the first one's.

    Args:
        better: how many players have a better total than the first row.
        position: how many standings stand before the first row; more than `better` where it shares its rank with some.
    """
    standings = []
    rank = better + 1
    for index, row in enumerate(rows):
        if index and row.total_score != rows[index - 1].total_score:
            rank = position + index + 1
        standings.append(ranked(row, rank, player_count))
    return standings
