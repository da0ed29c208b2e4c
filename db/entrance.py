"""One way into a Postgres: a PgBouncer, or the Postgres itself."""

from __future__ import annotations

import asyncio
from secrets import token_hex
from typing import Any

import asyncpg

from db.address import dsn_of, place_of, require_files


class Entrance:
    """One way in, and the connections that are open through it.

    Attributes:
        place: its host and port, for people.
        is_out: whether it is left out because it did not answer.
    """

    def __init__(self, url: str) -> None:
        self.place = place_of(url)
        self.connections: set[asyncpg.Connection] = set()
        self.is_out = False
        self._opening = 0
        self._url = url
        self._dsn = dsn_of(url)
        self._asking = asyncio.Lock()
        self._options: dict[str, Any] | None = None

    @property
    def load(self) -> int:
        """How many connections go through it, those that are being opened included."""
        return len(self.connections) + self._opening

    async def connect(self, timeout_s: float, **options: Any) -> asyncpg.Connection:
        """Open a connection that suits what answers here; as long as it is open, it is among `connections`."""
        self._opening += 1
        try:
            suited = await self.statement_options(timeout_s)
            connection = await asyncpg.connect(self._dsn, timeout=timeout_s, **{**suited, **options})
        finally:
            self._opening -= 1
        self.connections.add(connection)
        connection.add_termination_listener(self.connections.discard)
        return connection

    async def probe(self, timeout_s: float) -> None:
        """Ask on a connection of its own: all others may be waiting for locks, or for a server that hangs."""
        connection = await asyncpg.connect(self._dsn, timeout=timeout_s, statement_cache_size=0)
        try:
            await connection.execute("select")
        finally:
            connection.terminate()

    async def statement_options(self, timeout_s: float) -> dict[str, Any]:
        """The options for asyncpg that suit what answers here, found out by asking it, once.

        A Postgres reached directly keeps prepared statements, and so does a PgBouncer from 1.21 on (it gives them
        names of its own); an older PgBouncer hands the next transaction to another server that knows none of them.
        """
        if self._options is None:
            async with self._asking:
                if self._options is None:
                    self._options = await self._ask_for_options(timeout_s)
        return self._options

    def cut_off(self) -> None:
        """Break every connection: who waits on one is told at once."""
        for connection in list(self.connections):
            connection.terminate()

    async def _ask_for_options(self, timeout_s: float) -> dict[str, Any]:
        require_files(self._url)
        connection = await asyncpg.connect(self._dsn, timeout=timeout_s, statement_cache_size=0)
        try:
            async with asyncio.timeout(timeout_s), connection.transaction():
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
