"""Every table of a shard, as SQLAlchemy tables: what the migrations must add up to, and what statements are built of.

The reasons for each column stand in docs/ARCHITECTURE.md. Nothing outside `db` imports this file.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.types import UserDefinedType

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s",
    }
)


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id; as text on the Python side."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name in DDL."""
        return "xid8"


Instant = DateTime(timezone=True)

shard_info = Table(
    "shard_info",
    metadata,
    Column("singleton", SmallInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("incarnation", Uuid, nullable=False, comment="made at random with the shard: binds the relay's watermark"),
    Column("pruned_before", Instant, comment="sessions older than this were pruned: none may come in again"),
    Column(
        "contracted_to",
        Text,
        nullable=False,
        server_default="0002",
        comment="the last contract migration: who does not know it cannot serve",
    ),
    CheckConstraint("singleton = 1", name="singleton"),
)

serving_processes = Table(
    "serving_processes",
    metadata,
    Column("process_id", Uuid, primary_key=True),
    Column("version", Text, nullable=False),
    Column("schema_known", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("seen_at", Instant, nullable=False),
)

bucket_owner = Table(
    "bucket_owner",
    metadata,
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("frozen_until", Instant),
    CheckConstraint("bucket between 0 and 4095", name="bucket_range"),
    CheckConstraint("state in ('owned', 'frozen')", name="state_known"),
    CheckConstraint("frozen_until is null or state = 'frozen'", name="frozen_until"),
)

# What the shard gave away: `target` owns the bucket since `epoch`. Never deleted, so that an old claim stays refused.
bucket_handover = Table(
    "bucket_handover",
    metadata,
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("target", Text, nullable=False),
)

# Every shard knows all the others; of two rows of one shard the one with the higher version is the newer.
shard_directory = Table(
    "shard_directory",
    metadata,
    Column("name", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("direct_url", Text, nullable=False),
    Column("removed", Boolean, nullable=False),
    Column("capacity_bytes", BigInteger),
    Column("version", BigInteger, nullable=False),
)

# The moves that begin at this shard, ended ones included.
bucket_moves = Table(
    "bucket_moves",
    metadata,
    Column("move_id", Uuid, primary_key=True),
    Column("plan_id", Uuid, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("buckets", ARRAY(SmallInteger), nullable=False),
    Column("phase", Text, nullable=False),
    Column("wish", Text, nullable=False),
    Column("trouble", Text),
    Column("keep_copies", Boolean, nullable=False),
    Column("rows_planned", BigInteger, nullable=False),
    Column("bytes_planned", BigInteger, nullable=False),
    Column("rows_moved", BigInteger),
    Column("pause_ms_max", Double),
    Column("planned_at", Instant, nullable=False),
    Column("copying_at", Instant),
    Column("following_at", Instant),
    Column("switched_at", Instant),
    Column("ended_at", Instant),
    CheckConstraint(
        "phase in ('planned', 'copying', 'following', 'switched', 'done', 'aborting', 'aborted')", name="phase_known"
    ),
    CheckConstraint("wish in ('run', 'pause', 'abort')", name="wish_known"),
)

# A row here went through the stream of changes after all that was written before it.
move_markers = Table(
    "move_markers",
    metadata,
    Column("move_id", Uuid, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False, comment="of the whole text of the key"),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("submissions_per_minute", Integer, nullable=False, comment="0 for no limit"),
    Column("reads_per_minute", Integer, nullable=False, comment="0 for no limit"),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    CheckConstraint("kind in ('server', 'admin')", name="kind_known"),
    CheckConstraint("length(secret_sha256) = 32", name="secret_hashed"),
    CheckConstraint("submissions_per_minute >= 0", name="submissions"),
    CheckConstraint("reads_per_minute >= 0", name="reads"),
)

boards = Table(
    "boards",
    metadata,
    Column("board_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
)

players = Table(
    "players",
    metadata,
    Column("bucket", SmallInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("username", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("bucket", "user_id"),
)

leaderboard = Table(
    "leaderboard",
    metadata,
    Column("bucket", SmallInteger, nullable=False),
    Column("board_id", SmallInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("total_score", BigInteger, nullable=False),
    Column("games_played", BigInteger, nullable=False),
    Column("last_played", Instant, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("changed_xid", Xid8(), nullable=False),
    PrimaryKeyConstraint("bucket", "board_id", "user_id"),
    CheckConstraint("total_score between -9007199254740991 and 9007199254740991", name="total_range"),
    Index("leaderboard_rank_idx", "board_id", text("total_score DESC"), "user_id"),
    Index("leaderboard_changed_idx", "changed_xid", "user_id"),
)

game_sessions = Table(
    "game_sessions",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("bucket", SmallInteger, nullable=False),
    Column("score", BigInteger, nullable=False),
    Column("duration_seconds", Integer),
    Column("recorded_at", Instant, nullable=False),
    Column("total_after", BigInteger, nullable=False),
    Column("games_after", BigInteger, nullable=False),
    Column("last_played_after", Instant, nullable=False),
    Column("username", Text, nullable=False),
    Column("game_mode", Text),
    PrimaryKeyConstraint("id"),
    # Of a batch's sessions each has to stay in the range, not only the last.
    CheckConstraint("total_after between -9007199254740991 and 9007199254740991", name="total_range"),
    Index("game_sessions_user_idx", "user_id", text("id DESC")),
    postgresql_partition_by="RANGE (id)",
)
