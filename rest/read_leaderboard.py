"""GET /api/leaderboard: the best players."""

from __future__ import annotations

from functools import lru_cache, partial

import msgspec

from domain.board import PAGE_SIZE_MAX
from domain.instants import rfc3339
from domain.standing import GLOBAL_BOARD
from rest.answer import Answer, make_etag
from rest.models import Leaderboard, LeaderboardEntry
from rest.request import Request, read_integer, read_parameters
from service.admit import admit_reads
from service.parts import Parts
from service.read_top import read_top
from wire.deadlines import Deadlines
from wire.hot_answers import HotAnswers, Render

LIMIT_USUAL = 10


class ReadLeaderboard:
    """Shows the top, from kept bytes while the board does not change."""

    def __init__(self, parts: Parts, deadlines: Deadlines) -> None:
        self._parts = parts
        self._deadlines = deadlines
        self._hot = HotAnswers[Answer](parts.board_version)

    async def __call__(self, request: Request) -> Answer:
        """The answer to one request.

        Raises:
            ShardboardError, RefusedRequestError: it is refused, or ranks are unavailable.
        """
        limit = _read_limit(request.query_string)
        request.tell(await admit_reads(self._parts.access, request.caller, 1))
        return await self._hot.answer(b"%d" % limit, GLOBAL_BOARD, partial(self._read, limit))

    async def _read(self, limit: int) -> Render[Answer]:
        page = await self._deadlines.within(read_top(self._parts, GLOBAL_BOARD, limit, None))
        entries = [
            LeaderboardEntry(each.rank, each.user_id, each.username, each.total_score, each.games_played)
            for each in page.standings
        ]
        # Weak: from one answer to the next, `cached` and `timestamp` differ though the board does not.
        etag = make_etag(msgspec.json.encode(entries), weak=True)
        timestamp = rfc3339(page.as_of)

        def render(cached: bool) -> Answer:
            return Answer(msgspec.json.encode(Leaderboard(entries, cached, timestamp)), etag)

        return render


@lru_cache(256)
def _read_limit(query_string: bytes) -> int:
    """How many are asked for; the same few query strings come again and again."""
    return read_integer(read_parameters(query_string, ("limit",)), "limit", 1, PAGE_SIZE_MAX, LIMIT_USUAL)
