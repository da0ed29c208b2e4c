"""How players and their rows are written in Redis. Pure: no I/O."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from domain.standing import Row

_MEMBER = struct.Struct(">Q")
_HEAD = struct.Struct(">dqq")
_OFFSET = 2**63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def member_of(user_id: int) -> bytes:
    """Eight bytes whose order is the numeric order of user ids, negative ones included."""
    return _MEMBER.pack(user_id + _OFFSET)


def user_id_of(member: bytes) -> int:
    """The inverse of `member_of`."""
    return int(_MEMBER.unpack(member)[0]) - _OFFSET


def pack_row(row: Row) -> bytes:
    """What the sorted set does not hold of a row. The revision comes first, as a double that Lua can compare."""
    return (
        _HEAD.pack(row.revision, row.games_played, (row.last_played - _EPOCH) // _MICROSECOND) + row.username.encode()
    )


def script_arguments(rows: Iterable[Row]) -> list[bytes]:
    """Rows as the scripts take them: member, score, packed, one row after the other."""
    return [part for row in rows for part in (member_of(row.user_id), score_of(row.total_score), pack_row(row))]


def unpack_row(member: bytes, score: bytes, packed: bytes) -> Row:
    """The row that a member, its score and its packed rest make up."""
    revision, games_played, last_played_us = _HEAD.unpack_from(packed)
    return Row(
        user_id_of(member),
        packed[_HEAD.size :].decode(),
        total_of(score),
        games_played,
        _EPOCH + timedelta(microseconds=last_played_us),
        int(revision),
    )


def score_of(total: int) -> bytes:
    """The score in the sorted set of a total."""
    return b"%d" % -total


def total_of(score: bytes) -> int:
    """The inverse of `score_of`, for any way in which Redis writes a double."""
    return -int(float(score))
