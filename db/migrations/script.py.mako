"""${message}"""

from __future__ import annotations

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
# "expand" runs while the version before serves; "contract" takes away what that one uses (docs/adr/0020).
phase = "expand"


def upgrade() -> None:
    """${message}"""
