"""How to talk to one Postgres: connections with the right options for what stands before it, and two ways to use them.

`call` is for the hot, coalesced statements: one round trip, no transaction block, on raw asyncpg connections.
`read` and `write` hand out SQLAlchemy connections for everything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from secrets import token_hex
from typing import Any

import asyncpg
from sqlalchemy import make_url, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from db.errors import as_unavailable
from db.lanes import Lanes
from db.tables import shard_info
from domain.errors import OperatorError


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The bounds of one Postgres's connections: sizes in connections, times in seconds."""

    lanes: int = 4
    pool_size: int = 4
    connect_timeout_s: float = 2.0
    statement_timeout_s: float = 3.0


class Postgres:
    """One Postgres, reached through its PgBouncer or directly; connects when first used, `close` it after."""

    def __init__(self, name: str, url: str, limits: ConnectionLimits | None = None) -> None:
        self.name = name
        self._dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._engine_url = make_url(url).set(drivername="postgresql+asyncpg")
        self._limits = limits or ConnectionLimits()
        self._opening = asyncio.Lock()
        self._lanes: Lanes | None = None
        self._engine: AsyncEngine | None = None

    async def call(self, statement: str, *arguments: object, timeout_s: float | None = None) -> list[asyncpg.Record]:
        """Run one hot statement in a transaction of its own.

        Raises:
            Unavailable: the Postgres does not answer in time.
            asyncpg.PostgresError: it refused the statement.
        """
        with as_unavailable(self.name):
            async with asyncio.timeout(timeout_s or self._limits.statement_timeout_s):
                lanes = self._lanes or await self._open_lanes()
                return await lanes.fetch(statement, arguments)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for statements that change nothing; each sees what is committed when it starts.

        Raises:
            Unavailable: the Postgres does not answer in time.
        """
        with as_unavailable(self.name):
            engine = self._engine or await self._open_engine()
            async with engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that commits at the end of the block, or leaves nothing behind.

        Raises:
            Unavailable: the Postgres does not answer in time.
        """
        with as_unavailable(self.name):
            engine = self._engine or await self._open_engine()
            async with engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def raw(self) -> AsyncIterator[asyncpg.Connection]:
        """A raw asyncpg connection, for COPY and cursors.

        Raises:
            Unavailable: the Postgres does not answer in time.
        """
        with as_unavailable(self.name):
            async with asyncio.timeout(self._limits.connect_timeout_s):
                connection = await asyncpg.connect(
                    self._dsn, timeout=self._limits.connect_timeout_s, **await self._statement_options()
                )
            try:
                await self._refuse_wrong_shard(connection)
                yield connection
            finally:
                await connection.close(timeout=self._limits.connect_timeout_s)

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which each statement is a transaction of its own, for those that must be.

        Raises:
            Unavailable: the Postgres does not answer in time.
        """
        async with self.read() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    async def keeps_prepared_statements(self) -> bool:
        """Whether prepared statements are kept on the way to this Postgres: an older PgBouncer loses them.

        Raises:
            Unavailable: the Postgres does not answer in time.
        """
        with as_unavailable(self.name):
            return not await self._statement_options()

    async def close(self) -> None:
        """Close every connection."""
        lanes, self._lanes = self._lanes, None
        engine, self._engine = self._engine, None
        if lanes is not None:
            await lanes.close(self._limits.connect_timeout_s)
        if engine is not None:
            await engine.dispose()

    async def _open_lanes(self) -> Lanes:
        async with self._opening:
            if self._lanes is None:
                self._lanes = Lanes(partial(self._open_lane, await self._statement_options()), self._limits.lanes)
            return self._lanes

    async def _open_lane(self, options: dict[str, Any]) -> asyncpg.Connection:
        connection = await asyncpg.connect(self._dsn, timeout=self._limits.connect_timeout_s, **options)
        try:
            await self._refuse_wrong_shard(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _open_engine(self) -> AsyncEngine:
        async with self._opening:
            if self._engine is None:
                options: dict[str, Any] = await self._statement_options()
                if options:
                    # SQLAlchemy's own cache, and its names for statements, would leak on the server (sqlalchemy#6467).
                    options |= {"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: ""}
                self._engine = create_async_engine(
                    self._engine_url,
                    poolclass=AsyncAdaptedQueuePool,
                    pool_size=self._limits.pool_size,
                    max_overflow=0,
                    pool_timeout=self._limits.statement_timeout_s,
                    pool_pre_ping=True,
                    connect_args={
                        "timeout": self._limits.connect_timeout_s,
                        "command_timeout": None,
                        **options,
                    },
                )
            return self._engine

    async def _statement_options(self) -> dict[str, Any]:
        """The options for asyncpg that suit what answers at the URL, found out by asking it.

        A Postgres reached directly keeps prepared statements, and so does a PgBouncer from 1.21 on (it gives them
        names of its own); an older PgBouncer hands the next transaction to another server that knows none of them.
        """
        connection = await asyncpg.connect(self._dsn, timeout=self._limits.connect_timeout_s, statement_cache_size=0)
        try:
            async with asyncio.timeout(self._limits.connect_timeout_s), connection.transaction():
                if connection.get_server_pid() == await connection.fetchval("select pg_backend_pid()"):
                    return {}
                probe = f"probe_{token_hex(8)}"
                asked = await connection.prepare("select name from pg_prepared_statements", name=probe)
                if probe not in {row["name"] for row in await asked.fetch()}:
                    return {}
                await connection.execute(f"deallocate {probe}")
                return {"statement_cache_size": 0}
        finally:
            connection.terminate()

    async def _refuse_wrong_shard(self, connection: asyncpg.Connection) -> None:
        try:
            row = await connection.fetchrow("select name from shard_info")
        except asyncpg.UndefinedTableError as error:
            raise OperatorError(f"Shard {self.name} has no tables yet; run `shardboard migrate`.") from error
        if row is None or row["name"] != self.name:
            found = "no shard" if row is None else f"the shard {row['name']!r}"
            raise OperatorError(f"The address of shard {self.name!r} leads to {found}; check SHARDBOARD_SHARDS.")


async def read_shard_name(connection: AsyncConnection) -> str | None:
    """The name of the shard at the other end; None where none was made yet."""
    return (await connection.execute(select(shard_info.c.name))).scalar_one_or_none()
