"""Ranks without Redis: counted by the shards, exact or None.

Counting costs as much as the rank is deep, so it stops at a bound, and only a few counts run at a time: a database that
is busy counting ranks records no scores.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from db.standings import count_better, count_players, read_before, read_page, read_rows
from domain.errors import Unavailable
from domain.ids import USER_ID_MIN
from domain.standing import Row, Standing, StandingPage
from domain.submission import SCORE_MAX
from ranking.projection import Place, rank_run, ranked
from sharding.router import Router

_COUNTS_AT_ONCE = 4

# Ahead of the best possible standing.
_TOP = (SCORE_MAX + 1, USER_ID_MIN)


class SqlRanks:
    """Counts ranks over all shards of one process's router, down to `depth_max`.

    Each bucket is counted on one shard, which owns it at that moment, so that ranks stay exact while buckets move.
    """

    def __init__(self, router: Router, depth_max: int) -> None:
        self._router = router
        self._depth_max = depth_max
        self._counts = asyncio.Semaphore(_COUNTS_AT_ONCE)

    @property
    def busy(self) -> bool:
        """Whether another count would have to wait."""
        return self._counts.locked()

    async def place(self, user_id: int, total: int) -> Place | None:
        """Where `total` of a player stands; None below the depth that is counted.

        Raises:
            Unavailable: a shard does not answer, or a bucket kept moving for too long.
        """
        async with self._counts:
            (better,), player_count, rows = await asyncio.gather(
                self._better([total]), self._players(), self._router.scatter_keys([user_id], read_rows)
            )
        own = rows.get(user_id)
        if better is None:
            return None
        # The player's own newer, better total is nobody the player is behind of.
        ahead_of_itself = isinstance(own, Row) and own.total_score > total
        return Place(better + 1 - ahead_of_itself, player_count)

    async def standings(self, user_ids: Sequence[int]) -> list[Standing | None]:
        """Several players' standings, in the order asked for.

        Raises:
            Unavailable: a shard does not answer, or a bucket kept moving for too long.
        """
        async with self._counts:
            found = await self._router.scatter_keys(user_ids, read_rows)
            rows = {user_id: row for user_id, row in found.items() if isinstance(row, Row)}
            for answer in found.values():
                if isinstance(answer, Unavailable):
                    raise answer
            betters, player_count = await asyncio.gather(
                self._better([row.total_score for row in rows.values()]), self._players()
            )
        ranks = {user_id: None if better is None else better + 1 for user_id, better in zip(rows, betters, strict=True)}
        return [
            ranked(rows[user_id], ranks[user_id], player_count) if user_id in rows else None for user_id in user_ids
        ]

    async def page(self, first: int, after: tuple[int, int] | None) -> StandingPage:
        """The `first` best standings behind the place `after`.

        Raises:
            Unavailable: a shard does not answer, or a bucket kept moving for too long.
        """
        async with self._counts:
            # One more than asked for tells whether there is a next page.
            runs, player_count = await asyncio.gather(
                self._router.scatter_owned(partial(read_page, after=after or _TOP, limit=first + 1)), self._players()
            )
            rows = list(heapq.merge(*runs, key=_order))
            position = 0 if after is None else None
            standings = await self._ranked_run(rows[:first], player_count, position)
        return StandingPage(standings, 0 if after is None else 1, player_count, len(rows) > first, datetime.now(UTC))

    async def around(self, user_id: int, radius: int) -> list[Standing] | None:
        """The player's standing with up to `radius` on both sides; None where the player has none.

        Raises:
            Unavailable: a shard does not answer, or a bucket kept moving for too long.
        """
        async with self._counts:
            own = (await self._router.scatter_keys([user_id], read_rows)).get(user_id)
            if isinstance(own, Unavailable):
                raise own
            if own is None:
                return None
            place = (own.total_score, own.user_id)
            before, behind, player_count = await asyncio.gather(
                self._router.scatter_owned(partial(read_before, before=place, limit=radius)),
                self._router.scatter_owned(partial(read_page, after=place, limit=radius)),
                self._players(),
            )
            nearest_first = sorted((row for run in before for row in run), key=_order, reverse=True)[:radius]
            rows = [*reversed(nearest_first), own, *list(heapq.merge(*behind, key=_order))[:radius]]
            return await self._ranked_run(rows, player_count, None)

    async def _ranked_run(self, rows: Sequence[Row], player_count: int, position: int | None) -> list[Standing]:
        """Rows in board order with their ranks; where the position of the first is not known, it is counted."""
        if not rows:
            return []
        if position == 0:
            # Counting again might find who came since these rows were read, and give the best of them rank 2.
            return rank_run(rows, 0, 0, player_count)
        (better,) = await self._better([rows[0].total_score])
        if better is None:
            return [ranked(row, None, player_count) for row in rows]
        if position is None:
            # How many of the first row's equals stand before it does not matter to the ranks of those that share its
            # total, but it does to the next: count what is better than the first of the next.
            others = next((row.total_score for row in rows if row.total_score != rows[0].total_score), None)
            if others is None:
                return [ranked(row, better + 1, player_count) for row in rows]
            (better_than_next,) = await self._better([others])
            if better_than_next is None:
                return [ranked(row, None, player_count) for row in rows]
            position = better_than_next - sum(row.total_score == rows[0].total_score for row in rows)
        return rank_run(rows, better, position, player_count)

    async def _better(self, totals: Sequence[int]) -> list[int | None]:
        """For each total how many players have a better one; None below the depth that is counted."""
        if not totals:
            return []
        counts = await self._router.scatter_owned(partial(count_better, totals=totals, depth_max=self._depth_max))
        sums = [sum(column) for column in zip(*counts, strict=True)]
        return [better if better < self._depth_max else None for better in sums]

    async def _players(self) -> int:
        return sum(await self._router.scatter_owned(count_players))


def _order(row: Row) -> tuple[int, int]:
    return (-row.total_score, row.user_id)
