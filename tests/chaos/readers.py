"""Readers of boards, ranks and histories, who note each answer for the checks."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any
from uuid import UUID

from tests.chaos.clock import now
from tests.chaos.history import FailedRead, Failure, HistoryRead, Read, Seen
from tests.chaos.players import Game

READERS = 4
_REST_S = 0.15

_ENTRY = "rank userId totalScore gamesPlayed"
_LEADERBOARD = f"query ($first: Int!) {{ leaderboard(first: $first) {{ nodes {{ {_ENTRY} }} totalCount }} }}"
_RANK = f"query ($userId: ID!) {{ rank(userId: $userId) {{ {_ENTRY} }} }}"
_AROUND = f"query ($userId: ID!, $radius: Int!) {{ around(userId: $userId, radius: $radius) {{ {_ENTRY} }} }}"
_HISTORY = "query ($userId: ID!, $first: Int!) { history(userId: $userId, first: $first) { nodes { id } totalCount } }"


class Reader:
    """Asks one question after the other, of any process."""

    def __init__(self, game: Game, random: Random) -> None:
        self._game = game
        self._random = random
        self._connections = game.connections()
        self._number = 0

    async def read(self, stop: asyncio.Event) -> None:
        """Ask until told to stop."""
        asks = (self._leaderboard, self._rank, self._around, self._history)
        try:
            while not stop.is_set():
                await self._random.choice(asks)(self._random.choice(self._game.players))
                await asyncio.sleep(self._random.expovariate(1 / _REST_S))
        finally:
            for connection in self._connections.values():
                connection.close()

    async def _leaderboard(self, _: int) -> None:
        # A kept answer is found by the bytes of the request; one with a number of its own is not there.
        kept = self._random.random() < 0.5
        fields = {} if kept else {"extensions": {"number": self._next_number()}}
        first = self._random.choice((10, 50))
        asked = await self._ask("leaderboard", None, _LEADERBOARD, {"first": first}, **fields)
        if asked is not None:
            page, read = asked
            read.seen, read.count, read.fresh = seen_in(page["nodes"]), page["totalCount"], not kept
            self._game.history.reads.append(read)

    async def _rank(self, user_id: int) -> None:
        asked = await self._ask("rank", None, _RANK, {"userId": str(user_id)})
        if asked is not None:
            standing, read = asked
            # A player without a standing is shown as one without games.
            read.seen = seen_in([standing]) if standing else [Seen(user_id, 0, 0, None)]
            self._game.history.reads.append(read)

    async def _around(self, user_id: int) -> None:
        radius = self._random.choice((2, 10))
        asked = await self._ask("around", None, _AROUND, {"userId": str(user_id), "radius": radius})
        if asked is not None:
            standings, read = asked
            read.seen = [Seen(user_id, 0, 0, None)] if standings is None else seen_in(standings)
            self._game.history.reads.append(read)

    async def _history(self, user_id: int) -> None:
        first = self._random.choice((5, 100))
        asked = await self._ask("history", user_id, _HISTORY, {"userId": str(user_id), "first": first})
        if asked is not None:
            sessions, read = asked
            ids = [UUID(node["id"]) for node in sessions["nodes"]]
            self._game.history.history_reads.append(
                HistoryRead(read.api, read.began_at, read.ended_at, user_id, first, sessions["totalCount"], ids)
            )

    async def _ask(
        self, what: str, user_id: int | None, query: str, variables: dict[str, Any], **fields: Any
    ) -> tuple[Any, Read] | None:
        """What the question was answered with; a failure is noted and None."""
        api = self._random.choice(sorted(self._connections))
        began_at = now()
        data = await self._connections[api].ask(query, variables, **fields)
        ended_at = now()
        if isinstance(data, Failure):
            self._game.history.failed_reads.append(FailedRead(what, api, began_at, ended_at, data, user_id))
            return None
        return data[what], Read(what, api, began_at, ended_at, [])

    def _next_number(self) -> int:
        self._number += 1
        return self._number


def seen_in(standings: list[dict[str, Any]]) -> list[Seen]:
    """Standings of an answer."""
    return [Seen(int(each["userId"]), each["totalScore"], each["gamesPlayed"], each["rank"]) for each in standings]
