"""API keys, hashed."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
phase = "expand"

_TABLE = """
create table api_keys (
    key_id text not null constraint api_keys_pkey primary key,
    kind text not null constraint api_keys_kind_known check (kind in ('server', 'admin')),
    label text not null,
    secret_sha256 bytea not null constraint api_keys_secret_hashed check (length(secret_sha256) = 32),
    scopes text[] not null,
    submissions_per_minute integer not null constraint api_keys_submissions check (submissions_per_minute >= 0),
    reads_per_minute integer not null constraint api_keys_reads check (reads_per_minute >= 0),
    created_at timestamptz not null,
    expires_at timestamptz,
    revoked_at timestamptz
)
"""


def upgrade() -> None:
    """Make the table of keys."""
    run = op.get_bind().exec_driver_sql
    run(_TABLE)
    run("comment on column api_keys.secret_sha256 is 'of the whole text of the key'")
    for column in ("submissions_per_minute", "reads_per_minute"):
        run(f"comment on column api_keys.{column} is '0 for no limit'")
