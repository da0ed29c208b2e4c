"""Which processes serve, and how far the tables were contracted: what an upgrade has to know of the version before."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
phase = "expand"

_SQL = Path(__file__).parent.parent / "sql"

_TABLES = """
alter table shard_info add column contracted_to text not null default '0002';
comment on column shard_info.contracted_to is 'the last contract migration: who does not know it cannot serve';

create table serving_processes (
    process_id uuid not null constraint serving_processes_pkey primary key,
    version text not null,
    schema_known text not null,
    host text not null,
    pid integer not null,
    seen_at timestamptz not null
)
"""


def upgrade() -> None:
    """Make the list of processes, and the function by which each says that it serves."""
    run = op.get_bind().exec_driver_sql
    for statement in _TABLES.strip().split(";\n"):
        run(statement)
    for name in ("note_serving", "forget_serving"):
        run((_SQL / f"{name}.sql").read_text())
