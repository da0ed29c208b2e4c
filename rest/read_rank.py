"""GET /api/users/{user_id}/rank: where a player stands."""

from __future__ import annotations

import msgspec

from domain.errors import NotFound
from domain.ids import parse_user_id
from domain.standing import GLOBAL_BOARD
from rest.answer import Answer, make_etag
from rest.models import PlayerRank
from rest.request import Request, read_parameters
from service.admit import admit_reads
from service.parts import Parts
from service.read_standing import read_standing
from wire.deadlines import Deadlines


class ReadRank:
    """Shows one player's standing."""

    def __init__(self, parts: Parts, deadlines: Deadlines) -> None:
        self._parts = parts
        self._deadlines = deadlines

    async def __call__(self, request: Request) -> Answer:
        """The answer to one request.

        Raises:
            NotFound: nobody of this id ever played.
            ShardboardError, RefusedRequestError: it is refused, or ranks are unavailable.
        """
        read_parameters(request.query_string, ())
        user_id = parse_user_id(request.user_id, "user_id")
        request.tell(await admit_reads(self._parts.access, request.caller, 1))
        standing = await self._deadlines.within(read_standing(self._parts, GLOBAL_BOARD, user_id))
        if standing is None:
            raise NotFound(f"There is no player {user_id}: nobody of this id has a score.")
        body = msgspec.json.encode(
            PlayerRank(
                user_id=user_id,
                username=standing.username,
                total_score=standing.total_score,
                rank=standing.rank,
                games_played=standing.games_played,
                percentile=standing.percentile,
            )
        )
        return Answer(body, make_etag(body))
