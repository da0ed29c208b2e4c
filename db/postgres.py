"""How to talk to one Postgres: connections with the right options for what stands before it, and two ways to use them.

`call` is for the hot, coalesced statements: one round trip, no transaction block, on raw asyncpg connections.
`read` and `write` hand out SQLAlchemy connections for everything else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from sqlalchemy import event, select
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, QueuePool

from db.address import make_engine
from db.entrances import Entrances
from db.errors import as_unavailable, does_not_answer, is_no_answer
from db.lanes import Lanes
from db.tables import shard_info
from domain.errors import NoTables, OperatorError, Unavailable
from domain.resilience.breaker import Breaker
from domain.resilience.deadline import within
from domain.resilience.limits import CONNECT_TRIES_MAX, RETRY_AWAY_S, SHARD_DOUBT_S, SHARD_PROBE_S_MAX
from domain.resilience.patience import Patience


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The bounds of one Postgres's connections: sizes in connections, times in seconds."""

    lanes: int = 4
    pool_size: int = 4
    connect_timeout_s: float = 2.0
    statement_timeout_s: float = 3.0


class Postgres:
    """One Postgres, reached through its PgBouncers or directly; connects when first used, `close` it after.

    patience: with its hot statements, by how long they take.

    Args:
        name: of the shard that it is, or is a replica of.
        called: what the log calls it, where that is not the shard's name.
    """

    def __init__(
        self, name: str, url: str, limits: ConnectionLimits | None = None, *, called: str | None = None
    ) -> None:
        self.name = name
        self._limits = limits or ConnectionLimits()
        self._entrances = Entrances(name, url, self._limits.connect_timeout_s)
        self._opening = asyncio.Lock()
        self._lanes = Lanes(
            self._open_lane,
            self._limits.lanes,
            is_leaving=self._entrances.is_leaving,
            spread=self._entrances.count,
        )
        self._engine: AsyncEngine | None = None
        self.breaker = Breaker(
            called or f"shard {name}", self._entrances.probe, self._refuse, probe_s_max=SHARD_PROBE_S_MAX
        )
        self.patience = Patience()

    async def call(self, statement: str, *arguments: object, timeout_s: float | None = None) -> list[asyncpg.Record]:
        """Run one hot statement in a transaction of its own.

        Args:
            timeout_s: how long it may take, unless the deadline of the request comes first.

        Raises:
            Unavailable: the Postgres does not answer in time, or has not answered anything of late.
            asyncpg.PostgresError: it refused the statement.
        """
        breaker = self.breaker
        breaker.require()
        began_at = time.monotonic()
        doubt = asyncio.get_running_loop().call_later(SHARD_DOUBT_S, breaker.doubt)
        try:
            async with asyncio.timeout(within(timeout_s or self._limits.statement_timeout_s)):
                rows = await self._lanes.fetch(statement, arguments)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            if is_no_answer(error):
                breaker.doubt()
            elif isinstance(error, asyncpg.PostgresError):
                breaker.answered()
            with as_unavailable(self.name):
                raise
        finally:
            doubt.cancel()
        breaker.answered()
        self.patience.answered(time.monotonic() - began_at)
        return rows

    async def ask(self, statement: str, *arguments: object, timeout_s: float | None = None) -> list[asyncpg.Record]:
        """`call` a statement that changes nothing, and once more where its connection broke: a PgBouncer that restarts
        or dies costs no answer. What timed out is not asked again, as in `sharding.writer`.

        Raises:
            Unavailable: the Postgres does not answer in time, or has not answered anything of late.
            asyncpg.PostgresError: it refused the statement.
        """
        for _ in range(1, CONNECT_TRIES_MAX):
            try:
                return await self.call(statement, *arguments, timeout_s=timeout_s)
            except Unavailable as error:
                if not is_no_answer(error.__cause__):
                    raise
        return await self.call(statement, *arguments, timeout_s=timeout_s)

    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many more are open; `raw` ones are not counted."""
        busy, idle = self._lanes.busy, self._lanes.idle_count
        if self._engine is not None:
            pool = self._engine.pool
            assert isinstance(pool, QueuePool)
            busy, idle = busy + pool.checkedout(), idle + pool.checkedin()
        return busy, idle

    @property
    def connections_max(self) -> int:
        """How many connections may be open."""
        return self._limits.lanes + self._limits.pool_size

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for statements that change nothing; each sees what is committed when it starts.

        Raises:
            Unavailable: the Postgres does not answer in time, or has not answered anything of late.
        """
        self.breaker.require()
        with as_unavailable(self.name):
            engine = self._engine or await self._open_engine()
            async with engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that commits at the end of the block, or leaves nothing behind.

        Raises:
            Unavailable: the Postgres does not answer in time, or has not answered anything of late.
        """
        self.breaker.require()
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
                connection = await self._entrances.connect()
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
            return await self._entrances.keep_prepared_statements()

    async def close(self) -> None:
        """Close every connection."""
        await self.breaker.close()
        await self._entrances.close()
        engine, self._engine = self._engine, None
        await self._lanes.close(self._limits.connect_timeout_s)
        if engine is not None:
            await engine.dispose()

    def _refuse(self) -> Unavailable:
        return Unavailable(does_not_answer(self.name), RETRY_AWAY_S)

    async def _open_lane(self) -> asyncpg.Connection:
        connection = await self._entrances.connect()
        try:
            await self._refuse_wrong_shard(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _open_engine(self) -> AsyncEngine:
        async with self._opening:
            if self._engine is None:
                options = dict(await self._entrances.statement_options())
                if options:
                    # SQLAlchemy's own cache, and its names for statements, would leak on the server (sqlalchemy#6467).
                    options |= {"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: ""}
                self._engine = make_engine(
                    {"async_creator_fn": self._entrances.connect, **options},
                    poolclass=AsyncAdaptedQueuePool,
                    pool_size=self._limits.pool_size,
                    max_overflow=0,
                    pool_timeout=self._limits.statement_timeout_s,
                    pool_pre_ping=True,
                )
                event.listen(self._engine.sync_engine, "checkout", self._renew)
            return self._engine

    def _renew(self, _: object, record: ConnectionPoolEntry, __: object) -> None:
        """Let the pool open a connection anew that is to go through another PgBouncer."""
        if record.driver_connection is not None and self._entrances.is_leaving(record.driver_connection):
            raise DisconnectionError

    async def _refuse_wrong_shard(self, connection: asyncpg.Connection) -> None:
        try:
            row = await connection.fetchrow("select name from shard_info")
        except asyncpg.UndefinedTableError as error:
            raise NoTables(self.name) from error
        except asyncpg.InsufficientPrivilegeError as error:
            raise OperatorError(
                f"The role that serves shard {self.name} may not read its tables; run `shardboard migrate`, which "
                "lets the user of the shard's url in."
            ) from error
        if row is None or row["name"] != self.name:
            found = "no shard" if row is None else f"the shard {row['name']!r}"
            raise OperatorError(f"The address of shard {self.name!r} leads to {found}; check SHARDBOARD_SHARDS.")


async def read_shard_name(connection: AsyncConnection) -> str | None:
    """The name of the shard at the other end; None where none was made yet."""
    return (await connection.execute(select(shard_info.c.name))).scalar_one_or_none()
