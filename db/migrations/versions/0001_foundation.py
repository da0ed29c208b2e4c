"""The foundation: players, sessions, standings, who owns what, and the functions of the hot paths."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
phase = "expand"

_SQL = Path(__file__).parent.parent / "sql"

_TABLES = """
create table shard_info (
    singleton smallint not null constraint shard_info_pkey primary key,
    name text not null,
    incarnation uuid not null,
    pruned_before timestamptz,
    constraint shard_info_singleton check (singleton = 1)
);
comment on column shard_info.incarnation is 'made at random with the shard: binds the relay''s watermark';
comment on column shard_info.pruned_before is 'sessions older than this were pruned: none may come in again';

create table bucket_owner (
    bucket smallint not null constraint bucket_owner_pkey primary key,
    state text not null,
    epoch bigint not null,
    constraint bucket_owner_bucket_range check (bucket between 0 and 4095),
    constraint bucket_owner_state_known check (state in ('owned', 'frozen'))
);

create table boards (
    board_id smallint not null constraint boards_pkey primary key,
    name text not null constraint boards_name_key unique
);
insert into boards (board_id, name) values (1, 'global');

create table players (
    bucket smallint not null,
    user_id bigint not null,
    username text not null,
    created_at timestamptz not null,
    constraint players_pkey primary key (bucket, user_id)
);

create table leaderboard (
    bucket smallint not null,
    board_id smallint not null,
    user_id bigint not null,
    total_score bigint not null,
    games_played bigint not null,
    last_played timestamptz not null,
    revision bigint not null,
    changed_xid xid8 not null,
    constraint leaderboard_pkey primary key (bucket, board_id, user_id),
    constraint leaderboard_total_range check (total_score between -9007199254740991 and 9007199254740991)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
create index leaderboard_rank_idx on leaderboard (board_id, total_score desc, user_id);
create index leaderboard_changed_idx on leaderboard (changed_xid);

create table game_sessions (
    id uuid not null,
    user_id bigint not null,
    bucket smallint not null,
    score bigint not null,
    duration_seconds integer,
    recorded_at timestamptz not null,
    total_after bigint not null,
    games_after bigint not null,
    last_played_after timestamptz not null,
    username text not null,
    game_mode text,
    constraint game_sessions_pkey primary key (id),
    constraint game_sessions_total_range check (total_after between -9007199254740991 and 9007199254740991)
) partition by range (id);
create index game_sessions_user_idx on game_sessions (user_id, id desc)
"""


def upgrade() -> None:
    """Make every table and function; the shard's own row and its partitions come from `db.migrate`."""
    run = op.get_bind().exec_driver_sql
    for statement in _TABLES.strip().split(";\n"):
        run(statement)
    for name in ("bucket_of", "record_sessions", "read_history"):
        run((_SQL / f"{name}.sql").read_text())
