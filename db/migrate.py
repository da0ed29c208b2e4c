"""Bring one Postgres to a newer schema, through its direct connection, while others work on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from db.address import dsn_of, make_engine, require_files
from db.errors import as_unavailable
from db.migration_steps import Steps, read_revision
from db.migrator_lock import hold_migrator_lock
from db.mover_lock import describe_self
from db.schema import Migration, SchemaState, all_migrations, newest_revision, why_not_served
from domain.errors import OperatorError

_CONNECT_S_MAX = 5
# The server ends what a migrator asked for that was killed, so that the next one need not wait for it.
_NOTICE_OUR_END = "set client_connection_check_interval = '1s'"
_HAS_NAME = text("select to_regclass('shard_info') is not null")
_FIND_NAME = text("select name from shard_info")
_FIND_CONTRACTED = text("select to_jsonb(i) ->> 'contracted_to' from shard_info as i")


@dataclass(frozen=True, slots=True)
class Migrated:
    """What became of one shard's schema.

    before: what it was; None: the shard was empty.
    waiting: the migrations that were not run: a contract one and what comes after it.
    """

    before: str | None
    after: str
    waiting: Sequence[Migration] = ()


async def migrate(
    name: str,
    direct_url: str,
    service_role: str | None = None,
    *,
    contract: bool = False,
    alone: bool = False,
    until: str | None = None,
) -> Migrated:
    """Run the migrations that the shard lacks, one after the other, and let the service in.

    Stopped anywhere, it goes on when it is run again. A shard that is new gets all of them.

    Args:
        name: the shard's name; one that has another already is refused.
        direct_url: leads to the Postgres itself: a PgBouncer in transaction mode would let locks go between statements.
        service_role: who may do what the service does from then on, see `db.roles`; None where that is the owner.
        contract: whether to run contract migrations as well; without, the first one that is lacking ends the run.
        alone: whether the caller knows that no process serves.
        until: the last migration to run; None: the newest.

    Raises:
        Unavailable: the Postgres does not answer, or somebody holds a lock for too long.
        OperatorError: the address leads to another shard, somebody else migrates it, a newer version contracted it, or
            a process serves that a contract migration would break.
    """
    require_files(direct_url)
    options = {
        "dsn": dsn_of(direct_url),
        "timeout": _CONNECT_S_MAX,
        "server_settings": {"application_name": describe_self("migrate")},
    }
    engine = make_engine(options, poolclass=NullPool)
    try:
        with as_unavailable(name):
            async with engine.connect() as connection:
                await connection.exec_driver_sql(_NOTICE_OUR_END)
                await connection.commit()
                async with hold_migrator_lock(connection, name):
                    steps = Steps(name, connection, service_role, alone=alone)
                    return await _run(steps, contract=contract, until=until or newest_revision())
    finally:
        await engine.dispose()


async def _run(steps: Steps, *, contract: bool, until: str) -> Migrated:
    async with steps.connection.begin():
        found = await _find_name(steps.connection)
        before = await read_revision(steps.connection)
        if found not in (None, steps.name):
            raise OperatorError(f"The address of shard {steps.name!r} leads to the shard {found!r}; nothing was done.")
        if before is not None and before > newest_revision():
            await _refuse_contracted(steps, before)
            # The newer version that made these tables knows better than this one who may do what with them.
            return Migrated(before, before)
    lacking = [each for each in all_migrations() if (before or "") < each.revision <= until]
    waiting: Sequence[Migration] = ()
    for number, migration in enumerate(lacking):
        # Nobody serves a shard that was not given a name yet.
        if migration.phase == "contract" and not contract and found is not None:
            waiting = lacking[number:]
            break
        await steps.run(migration)
    return Migrated(before, await steps.finish(), waiting)


async def _find_name(connection: AsyncConnection) -> str | None:
    if not await connection.scalar(_HAS_NAME):
        return None
    name: str | None = await connection.scalar(_FIND_NAME)
    return name


async def _refuse_contracted(steps: Steps, revision: str) -> None:
    why = why_not_served(SchemaState(revision, await steps.connection.scalar(_FIND_CONTRACTED)))
    if why is not None:
        raise OperatorError(f"Shard {steps.name} cannot be migrated: {why}. Nothing was done.")
