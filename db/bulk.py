"""Very many rows into one shard: COPY in PostgreSQL's binary format, all in one transaction.

The format is packed here, because that costs a fifth of what a driver takes for a row of Python objects.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO

import asyncpg

from db.postgres import Postgres
from db.standings import GLOBAL_BOARD_ID
from domain.errors import OperatorError

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
# PostgreSQL counts microseconds from the year 2000.
_EPOCH_2000_US = 946_684_800_000_000

# A row is its number of fields, and each field its length in bytes and its value.
_SESSION = struct.Struct(">h iQQ iq ih iq ii iq iq iq iq")
_SESSION_COLUMNS = ["id", "user_id", "bucket", "score", "duration_seconds", "recorded_at"]
_SESSION_COLUMNS += ["total_after", "games_after", "last_played_after", "username", "game_mode"]
_PLAYER = struct.Struct(">h ih iq iq")
_PLAYER_COLUMNS = ["bucket", "user_id", "created_at", "username"]
_STANDING = struct.Struct(">h ih ih iq iq iq iq iq iq")
_STANDING_COLUMNS = ["bucket", "board_id", "user_id", "total_score", "games_played", "last_played"]
_STANDING_COLUMNS += ["revision", "changed_xid"]

# Nobody moves a bucket away, or another one here, while this transaction is open; and it may rest between two batches.
_BEGIN = "set local idle_in_transaction_session_timeout = 0; lock table bucket_owner in share mode"
_OWNED = "select bucket from bucket_owner where state = 'owned' or frozen_until <= clock_timestamp()"


def pack_texts(*texts: str) -> bytes:
    """Fields of text, as they end a packed row."""
    return b"".join(len(field).to_bytes(4, "big") + field for field in (text.encode() for text in texts))


class BulkRows:
    """Packed rows of one shard's players, with their sessions and standings; times are microseconds since 1970."""

    def __init__(self, changed_xid: int) -> None:
        self._changed_xid = changed_xid
        self.sessions: list[bytes] = []
        self.players: list[bytes] = []
        self.standings: list[bytes] = []

    def add_session(
        self,
        id_halves: tuple[int, int],
        user_id: int,
        bucket: int,
        score: int,
        duration_seconds: int,
        recorded_us: int,
        standing_after: tuple[int, int, int],
        username_and_mode: bytes,
    ) -> None:
        """Add a session.

        Args:
            id_halves: the 128 bits of its id.
            standing_after: total, games played and last played right after it.
            username_and_mode: the two, packed by `pack_texts`.
        """
        total, games, last_us = standing_after
        self.sessions.append(
            _SESSION.pack(
                11, 16, *id_halves, 8, user_id, 2, bucket, 8, score, 4, duration_seconds,
                8, recorded_us - _EPOCH_2000_US, 8, total, 8, games, 8, last_us - _EPOCH_2000_US,
            )
            + username_and_mode
        )  # fmt: skip

    def add_player(self, user_id: int, bucket: int, username: str, created_us: int) -> None:
        """Add a player."""
        self.players.append(
            _PLAYER.pack(4, 2, bucket, 8, user_id, 8, created_us - _EPOCH_2000_US) + pack_texts(username)
        )

    def add_standing(self, user_id: int, bucket: int, total: int, games: int, last_us: int) -> None:
        """Add a player's row on the global board, as if each game had been a change of its own."""
        self.standings.append(
            _STANDING.pack(
                8, 2, bucket, 2, GLOBAL_BOARD_ID, 8, user_id, 8, total, 8, games, 8, last_us - _EPOCH_2000_US,
                8, games, 8, self._changed_xid,
            )
        )  # fmt: skip


class BulkLoad:
    """One shard's open transaction; made by `bulk_load`."""

    def __init__(self, name: str, connection: asyncpg.Connection, changed_xid: int, buckets: frozenset[int]) -> None:
        self.name = name
        self.buckets = buckets
        self._connection = connection
        self._changed_xid = changed_xid

    def make_rows(self) -> BulkRows:
        """Rows to be filled and given to `copy`."""
        return BulkRows(self._changed_xid)

    async def copy(self, rows: BulkRows) -> None:
        """Send rows of players that are new on this shard.

        Raises:
            OperatorError: one of them is there already.
        """
        # In order of their ids, as they would have come in: the partitions and their indexes fill from left to right.
        rows.sessions.sort()
        try:
            await self._copy("players", _PLAYER_COLUMNS, rows.players)
            await self._copy("leaderboard", _STANDING_COLUMNS, rows.standings)
            await self._copy("game_sessions", _SESSION_COLUMNS, rows.sessions)
        except asyncpg.UniqueViolationError as error:
            raise OperatorError(f"shard {self.name}: a player or session is there already: {error.detail}") from error

    async def _copy(self, table: str, columns: Sequence[str], rows: Sequence[bytes]) -> None:
        source = BytesIO(b"".join([_HEADER, *rows, _TRAILER]))
        await self._connection.copy_to_table(table, source=source, columns=columns, format="binary")


@asynccontextmanager
async def bulk_load(postgres: Postgres) -> AsyncIterator[BulkLoad]:
    """Open the one transaction of a bulk load, which commits at the end of the block or leaves nothing behind.

    Raises:
        Unavailable: the Postgres does not answer.
    """
    async with postgres.raw() as connection, connection.transaction():
        await connection.execute(_BEGIN)
        buckets = frozenset(row["bucket"] for row in await connection.fetch(_OWNED))
        changed_xid = int(await connection.fetchval("select pg_current_xact_id()::text"))
        yield BulkLoad(postgres.name, connection, changed_xid, buckets)


async def tidy(postgres: Postgres) -> None:
    """Vacuum and analyze what was loaded, which autovacuum would do some time later: plans and estimates are right.

    Raises:
        Unavailable: the Postgres does not answer.
    """
    async with postgres.raw() as connection:
        await connection.execute("vacuum (analyze) players, leaderboard, game_sessions")
