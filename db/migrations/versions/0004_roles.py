"""The service gets a role of its own, which reads tables and changes them only through functions of their owner.

Who has which right is not written here: `db.roles` grants it at every `migrate`, to whoever the service is then.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
phase = "expand"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Make the functions through which the service writes."""
    run = op.get_bind().exec_driver_sql
    for name in ("first_uuid7", "record_sessions", "claim_buckets", "show_name", "make_session_months"):
        run((_SQL / f"{name}.sql").read_text())
