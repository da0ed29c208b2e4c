"""GET /api/users/{user_id}/history: a player's sessions, newest first."""

from __future__ import annotations

import msgspec

from domain.board import PAGE_SIZE_MAX, SKIP_MAX
from domain.cursor import session_cursor
from domain.errors import BadUserInput
from domain.ids import parse_user_id, parse_uuid
from domain.instants import rfc3339
from domain.standing import SessionPage
from rest.answer import Answer, make_etag
from rest.models import History, PlayedSession
from rest.request import Request, read_integer, read_parameters
from service.admit import admit_reads
from service.parts import Parts
from service.read_history import read_history
from wire.deadlines import Deadlines

LIMIT_USUAL = 20


class ReadHistory:
    """Shows one player's sessions, page by page."""

    def __init__(self, parts: Parts, deadlines: Deadlines) -> None:
        self._parts = parts
        self._deadlines = deadlines

    async def __call__(self, request: Request) -> Answer:
        """The answer to one request; empty for somebody who never played.

        Raises:
            ShardboardError, RefusedRequestError: it is refused, or the player's shard does not answer.
        """
        parameters = read_parameters(request.query_string, ("limit", "offset", "after"))
        user_id = parse_user_id(request.user_id, "user_id")
        limit = read_integer(parameters, "limit", 1, PAGE_SIZE_MAX, LIMIT_USUAL)
        offset = _read_offset(parameters)
        after = parameters.get("after")
        # The place behind a session: here its id names it, as the page that showed it did.
        cursor = None if after is None else session_cursor(user_id, parse_uuid(after, "after"))
        request.tell(await admit_reads(self._parts.access, request.caller, 1))
        page = await self._deadlines.within(read_history(self._parts, user_id, limit, cursor, None, offset))
        sessions = [
            PlayedSession(each.id, each.score, each.game_mode, rfc3339(each.played_at), each.duration_seconds)
            for each in page.sessions
        ]
        body = msgspec.json.encode(History(user_id, sessions, page.total_count))
        if page.has_next:
            request.answer_headers.append(_next_page(page, limit))
        return Answer(body, make_etag(body))


def _read_offset(parameters: dict[str, str]) -> int:
    try:
        return read_integer(parameters, "offset", 0, SKIP_MAX, 0)
    except BadUserInput as error:
        raise BadUserInput(f"{error} Go on with after=<id of the last session seen>, however far.") from None


def _next_page(page: SessionPage, limit: int) -> tuple[bytes, bytes]:
    """Where the next page is (RFC 8288), relative to the address of this one."""
    return b"link", b'<?limit=%d&after=%b>; rel="next"' % (limit, str(page.sessions[-1].id).encode())
