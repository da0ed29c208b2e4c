"""The PostgreSQL of one shard."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from infra.local.binaries import Binaries
from infra.local.files import write_private
from infra.local.identity import Identity, ShardPorts
from infra.local.ports import HOST
from infra.local.postgres_server import PostgresServer
from infra.local.run_as import RunAs

# Owns the tables; the service logs in as a role that may only use them.
OWNER = DATABASE = "shardboard"
SERVICE_ROLE = "shardboard_service"
_SUPERUSER = "postgres"
_SLOTS = """
    select slot_name::text as name, wal_status, active_pid
    from pg_replication_slots
    where slot_type = 'physical' and starts_with(slot_name, $1)
"""
SLOT_BEGINNING = "shardboard_replica_"


class PostgresShard(PostgresServer):
    """The files and the process of one shard's PostgreSQL, below `home`."""

    def __init__(self, name: str, home: Path, ports: ShardPorts, identity: Identity) -> None:
        """Nothing is touched yet."""
        super().__init__("postgres", name, name, home, ports.postgres, identity)

    @property
    def direct_url(self) -> str:
        """The address of the database itself, past PgBouncer."""
        return f"postgresql://{OWNER}:{self._identity.shard_password}@{HOST}:{self.port}/{DATABASE}"

    async def prepare(self, binaries: Binaries, run_as: RunAs) -> None:
        """Make the cluster at the first start; write its configuration at every start.

        Raises:
            OperatorError: initdb failed, or the files are of another major version.
        """
        self._make_home(run_as)
        if not self.pgdata.exists():
            await self._initdb(binaries, run_as)
        self._write_config(binaries, run_as, {})

    async def ensure_database(self) -> None:
        """Make the roles and the database where they are missing.

        The owner's role owns its database and no more; the service's role has what `shardboard migrate` grants to it.
        """
        async with self._superuser() as connection:
            # replication: moving buckets follows the source through a logical slot.
            await self._ensure_role(connection, OWNER, self._identity.shard_password, "replication in role pg_monitor")
            await self._ensure_role(connection, SERVICE_ROLE, self._identity.service_password)
            # Making subscriptions has a role of its own only from 16 on.
            allowed = f"grant pg_create_subscription to {OWNER}"
            if connection.get_server_version().major < 16:
                allowed = f"alter role {OWNER} superuser"
            await connection.execute(allowed)
            if not await connection.fetchval("select exists (select from pg_database where datname = $1)", DATABASE):
                await connection.execute(f"create database {DATABASE} owner {OWNER}")

    async def keep_slots(self, wanted: Sequence[str]) -> list[str]:
        """Have a replication slot for each replica, and none for others.

        Returns:
            Those that were made now: a replica that has files from before could not catch up by them.
        """
        async with self._superuser() as connection:
            held = {slot["name"]: slot for slot in await connection.fetch(_SLOTS, SLOT_BEGINNING)}
            for name, slot in list(held.items()):
                # Lost: the replica was away for so long that the WAL it needs was given up.
                if name not in wanted or slot["wal_status"] == "lost":
                    if slot["active_pid"] is not None:
                        await connection.fetchval("select pg_terminate_backend($1, 5000)", slot["active_pid"])
                    await connection.execute("select pg_drop_replication_slot($1)", name)
                    del held[name]
            made = [name for name in wanted if name not in held]
            for name in made:
                await connection.execute("select pg_create_physical_replication_slot($1, true)", name)
        return made

    @asynccontextmanager
    async def _superuser(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(
            host=HOST,
            port=self.port,
            user=_SUPERUSER,
            password=self._identity.superuser_password,
            database="postgres",
            timeout=10,
        )
        try:
            yield connection
        finally:
            await connection.close()

    async def _ensure_role(self, connection: asyncpg.Connection, role: str, password: str, options: str = "") -> None:
        if not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", role):
            await connection.execute(f"create role {role} login {options}")
        await connection.execute(f"alter role {role} password '{password}'")

    async def _initdb(self, binaries: Binaries, run_as: RunAs) -> None:
        # Renamed when it is whole: a first start that was killed half-way is simply done again.
        fresh, password = self.home / "postgres.new", self.home / "superuser"
        shutil.rmtree(fresh, ignore_errors=True)
        write_private(password, self._identity.superuser_password)
        run_as.own(password)
        options = ["--encoding=UTF8", "--locale=C", "--data-checksums", "--auth=scram-sha-256"]
        initdb: list[str | Path] = [binaries.postgres_bin / "initdb", "-D", fresh, "-U", _SUPERUSER]
        await self._run(run_as, [*initdb, f"--pwfile={password}", *options])
        password.unlink()
        fresh.rename(self.pgdata)
