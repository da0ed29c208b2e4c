"""Buckets move between shards: who got which, the moves under way, and the shards that were added.

A copy changes very many standings in one transaction; the relay reads them in order of user ids, a batch at a time.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
phase = "contract"

_SQL = Path(__file__).parent.parent / "sql"

_TABLES = """
alter table bucket_owner
    add column frozen_until timestamptz,
    add constraint bucket_owner_frozen_until check (frozen_until is null or state = 'frozen');

create table bucket_handover (
    bucket smallint not null constraint bucket_handover_pkey primary key,
    epoch bigint not null,
    target text not null
);

create table shard_directory (
    name text not null constraint shard_directory_pkey primary key,
    url text not null,
    direct_url text not null,
    removed boolean not null,
    capacity_bytes bigint,
    version bigint not null
);

create table bucket_moves (
    move_id uuid not null constraint bucket_moves_pkey primary key,
    plan_id uuid not null,
    ordinal integer not null,
    source text not null,
    target text not null,
    buckets smallint[] not null,
    phase text not null,
    wish text not null,
    trouble text,
    keep_copies boolean not null,
    rows_planned bigint not null,
    bytes_planned bigint not null,
    rows_moved bigint,
    pause_ms_max double precision,
    planned_at timestamptz not null,
    copying_at timestamptz,
    following_at timestamptz,
    switched_at timestamptz,
    ended_at timestamptz,
    constraint bucket_moves_phase_known check (
        phase in ('planned', 'copying', 'following', 'switched', 'done', 'aborting', 'aborted')
    ),
    constraint bucket_moves_wish_known check (wish in ('run', 'pause', 'abort'))
);

create table move_markers (
    move_id uuid not null,
    number bigint not null,
    constraint move_markers_pkey primary key (move_id, number)
);

drop index leaderboard_changed_idx;
create index leaderboard_changed_idx on leaderboard (changed_xid, user_id)
"""

# Only for rows that replication brings: `enable replica` costs the service's own writes nothing.
_TRIGGER = """
create trigger number_replicated_change before insert or update on leaderboard
for each row execute function number_replicated_change();
alter table leaderboard enable replica trigger number_replicated_change
"""


def upgrade() -> None:
    """Make the tables and functions of moves; batches lock `bucket_owner` from here on."""
    run = op.get_bind().exec_driver_sql
    for statement in _TABLES.strip().split(";\n"):
        run(statement)
    for name in ("record_sessions", "freeze_buckets", "release_buckets", "number_replicated_change"):
        run((_SQL / f"{name}.sql").read_text())
    for statement in _TRIGGER.strip().split(";\n"):
        run(statement)
