"""What migrations outside of a transaction are made of: statements that lock nobody out and may be run again."""

from __future__ import annotations

from sqlalchemy import Connection, text

_INVALID = text("""
    select exists (
        select from pg_index as x where x.indexrelid = to_regclass(:name) and not x.indisvalid
    )
""")


def make_index(connection: Connection, name: str, definition: str) -> None:
    """Build an index while others write to its table; what a build left behind that was stopped is taken away first.

    Args:
        connection: where each statement is a transaction of its own; the migration says `in_transaction = False`.
        definition: what follows the name, such as `on players (username)`. Not for partitioned tables, which PostgreSQL
            does not index concurrently: there each partition gets its own, which is attached.
    """
    if connection.scalar(_INVALID, {"name": name}):
        connection.exec_driver_sql(f"drop index concurrently {name}")
    connection.exec_driver_sql(f"create index concurrently if not exists {name} {definition}")
