"""Cursors: a place in a list, written so that a page can go on from it however the list changes meanwhile.

A cursor names the last entry seen (its total and player, or its session), not a count of entries, so what changes above
the place moves nobody on the pages below it. It carries a check sum that binds it to its list: a cursor of another
board or player, or one made by hand, is refused and not misread.
"""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from uuid import UUID

from domain.errors import BadUserInput

_CHECK_BYTES = 6
_STANDING = struct.Struct(">qq")
_TEXT_LENGTH_MAX = 64


def standing_cursor(board: str, total_score: int, user_id: int) -> str:
    """The place of a standing on a board."""
    return _write(f"board {board}", _STANDING.pack(total_score, user_id))


def parse_standing_cursor(text: str, board: str) -> tuple[int, int]:
    """The total and user id of the place that `text` names on `board`.

    Raises:
        BadUserInput: it is no cursor of this board.
    """
    body = _read(f"board {board}", text, f"board {board!r}", _STANDING.size)
    total_score, user_id = _STANDING.unpack(body)
    return total_score, user_id


def session_cursor(user_id: int, session_id: UUID) -> str:
    """The place of a session in its player's history."""
    return _write(f"history {user_id}", session_id.bytes)


def parse_session_cursor(text: str, user_id: int) -> UUID:
    """The session that `text` names in the history of `user_id`.

    Raises:
        BadUserInput: it is no cursor of this player's history.
    """
    return UUID(bytes=_read(f"history {user_id}", text, f"the history of player {user_id}", 16))


def _write(list_name: str, body: bytes) -> str:
    return urlsafe_b64encode(body + _check(list_name, body)).rstrip(b"=").decode()


def _read(list_name: str, text: str, shown: str, size: int) -> bytes:
    try:
        if len(text) > _TEXT_LENGTH_MAX:
            raise ValueError("longer than any cursor")
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        raw = b""
    body, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
    if len(body) != size or check != _check(list_name, body) or _write(list_name, body) != text:
        raise BadUserInput(
            f"after is not a cursor of {shown}; take it as it is from `endCursor` or `cursor` of an earlier page."
        )
    return body


def _check(list_name: str, body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_BYTES, key=list_name.encode()[:64]).digest()
