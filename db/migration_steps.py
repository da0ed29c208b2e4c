"""The steps of a migration run on one shard, each so that whoever else works on the shard goes on.

A statement that waits for a lock on a table keeps everybody who comes after it waiting, too. So a migration gives up
after a fifth of a second, lets the others have their turn, and tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import asyncpg
from alembic import command
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.ownership import introduce
from db.roles import grant_service
from db.schema import FIRST_THAT_TELLS, Migration, alembic_config, last_contract
from db.serving import ServingProcess, list_serving_locked, why_not_contracted
from domain.errors import OperatorError, Unavailable
from domain.resilience.backoff import MIGRATION
from domain.resilience.limits import MIGRATION_BUILD_S_MAX, MIGRATION_LOCK_S_MAX, MIGRATION_S_MAX

_Result = TypeVar("_Result")

_TOO_BUSY = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
_SHORT_WAITS = f"set local lock_timeout = '{MIGRATION_LOCK_S_MAX * 1000:.0f}ms'"
_LONG_WAITS = f"set lock_timeout = '{MIGRATION_BUILD_S_MAX:.0f}s'"
_NOTE_CONTRACTED = text("update shard_info set contracted_to = :revision where contracted_to < :revision")
_OLDEST_TRANSACTIONS = text("""
    select format(
        'process %s (%s%s) is in a transaction since %s s',
        a.pid, a.usename, ' ' || nullif(a.application_name, ''),
        extract(epoch from clock_timestamp() - a.xact_start)::int
    )
    from pg_stat_activity as a
    where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
        and a.xact_start < clock_timestamp() - interval '1 second'
    order by a.xact_start
    limit 3
""")


class Steps:
    """What a migrator does on a shard whose lock it holds.

    Args:
        connection: to the Postgres itself, not within a transaction.
        alone: whether no process serves, as far as the caller knows.
    """

    def __init__(self, name: str, connection: AsyncConnection, service_role: str | None, *, alone: bool) -> None:
        self.name = name
        self.connection = connection
        self._role = service_role
        self._alone = alone

    async def run(self, migration: Migration) -> None:
        """Run one migration.

        Raises:
            Unavailable: somebody holds a lock for too long; nothing of the migration, or a part that may be done twice,
                was done.
            OperatorError: a process serves that a contract migration would break; nothing was done.
        """
        if migration.in_transaction:
            await self._patiently(f"Migration {migration}", lambda: self._at_once(migration))
        else:
            if migration.phase == "contract":
                await self._patiently(f"Migration {migration}", lambda: self._announce(migration))
            await self._bit_by_bit(migration)

    async def finish(self) -> str:
        """Give a new shard its name, and let the service in as it is called now; gives the schema that there is.

        Raises:
            Unavailable: somebody holds a lock for too long.
            OperatorError: the shard was given another name meanwhile.
        """
        return await self._patiently("The last step", self._finish)

    async def _at_once(self, migration: Migration) -> None:
        """All of it and the rights that belong to it, or nothing."""
        if migration.phase == "contract":
            await self._refuse_older_processes(migration)
        await self.connection.run_sync(_upgrade, migration.revision)
        if migration.phase == "contract" and migration.revision > FIRST_THAT_TELLS:
            await self.connection.execute(_NOTE_CONTRACTED, {"revision": migration.revision})
        await grant_service(self.connection, self._role)

    async def _announce(self, migration: Migration) -> None:
        """Say that the tables are contracted before the first statement does it: who comes after that must know."""
        await self._refuse_older_processes(migration)
        await self.connection.execute(_NOTE_CONTRACTED, {"revision": migration.revision})

    async def _bit_by_bit(self, migration: Migration) -> None:
        """Each statement a transaction of its own; one may wait for long, as none of them locks anybody out."""
        connection = self.connection
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            await connection.exec_driver_sql(_LONG_WAITS)
            await connection.run_sync(_upgrade, migration.revision)
            await connection.exec_driver_sql("reset lock_timeout")
            await connection.commit()
        finally:
            if not connection.invalidated:
                await connection.rollback()
                await connection.execution_options(isolation_level="READ COMMITTED")

    async def _finish(self) -> str:
        revision = await read_revision(self.connection)
        found = await introduce(self.connection, self.name)
        if revision is None or found != self.name:
            raise OperatorError(f"The address of shard {self.name!r} leads to the shard {found!r} now; run it again.")
        if revision >= FIRST_THAT_TELLS:
            await self.connection.execute(_NOTE_CONTRACTED, {"revision": last_contract(revision)})
        await grant_service(self.connection, self._role)
        return revision

    async def _refuse_older_processes(self, migration: Migration) -> None:
        serving: Sequence[ServingProcess] = () if self._alone else await list_serving_locked(self.connection)
        why = why_not_contracted(migration.revision, serving)
        if why is not None:
            raise OperatorError(f"{why} Shard {self.name} is as it was.")

    async def _patiently(self, what: str, work: Callable[[], Awaitable[_Result]]) -> _Result:
        """Do the work in a transaction, again and again until it gets its locks."""
        trouble: DBAPIError | None = None
        for rest_s in MIGRATION.rests(MIGRATION_S_MAX):
            try:
                async with self.connection.begin():
                    await self.connection.exec_driver_sql(_SHORT_WAITS)
                    return await work()
            except DBAPIError as error:
                if not isinstance(error.orig and error.orig.__cause__, _TOO_BUSY):
                    raise
                trouble = error
            await asyncio.sleep(rest_s)
        async with self.connection.begin():
            holders = (await self.connection.execute(_OLDEST_TRANSACTIONS)).scalars().all()
        raise Unavailable(
            f"{what} did not get its locks on shard {self.name} within {MIGRATION_S_MAX:.0f} s: "
            f"{'; '.join(holders) or 'it is very busy'}. End what holds them, or choose a quieter hour, and run it "
            "again."
        ) from trouble


async def read_revision(connection: AsyncConnection) -> str | None:
    """The schema of the shard; None where it is empty."""
    return await connection.run_sync(lambda plain: MigrationContext.configure(plain).get_current_revision())


def _upgrade(connection: Connection, revision: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
