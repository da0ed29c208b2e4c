"""Bring one Postgres to the newest schema, through its direct connection."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from db.errors import as_unavailable
from db.ownership import introduce
from domain.errors import OperatorError

_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATOR_LOCK = 0x5348_4D47  # "SHMG": one migrator at a time
_LOCK_TIMEOUT_MS = 5_000


def newest_revision() -> str:
    """The schema version that this code needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise OperatorError("This installation holds no migrations; install it again.")
    return revision


async def migrate(name: str, direct_url: str) -> str | None:
    """Run every migration that the shard lacks, in one transaction, and write its name into it.

    Args:
        name: the shard's name; one that has another already is refused.
        direct_url: leads to the Postgres itself: a PgBouncer in transaction mode would let locks go between statements.

    Returns:
        The version that it had before; None where it was empty.

    Raises:
        Unavailable: the Postgres does not answer.
        OperatorError: the address leads to another shard.
    """
    engine = create_async_engine(
        make_url(direct_url).set(drivername="postgresql+asyncpg"), poolclass=NullPool, connect_args={"timeout": 5}
    )
    try:
        with as_unavailable(name):
            async with engine.begin() as connection:
                await connection.execute(text(f"set local lock_timeout = '{_LOCK_TIMEOUT_MS}ms'"))
                await connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATOR_LOCK})
                before = await connection.run_sync(_upgrade)
                found = await introduce(connection, name)
                if found != name:
                    raise OperatorError(
                        f"The address of shard {name!r} leads to the shard {found!r}; nothing was done."
                    )
                return before
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> str | None:
    before = MigrationContext.configure(connection).get_current_revision()
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return before


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
