"""The ways into one Postgres: its PgBouncers, over which connections are spread.

One that does not answer is left out by itself, with the connections through it, and is used again once it answers. With
a single one there is nothing to choose, and the breaker of the Postgres does all that.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import asyncpg

from db.address import addresses_of
from db.entrance import Entrance
from domain.resilience.backoff import PROBE
from domain.resilience.deadline import detached
from domain.resilience.limits import ENTRANCE_S_MAX
from domain.tasks import end_tasks

logger = logging.getLogger(__name__)

_NO_ENTRY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Entrances:
    """All ways into one Postgres.

    Args:
        name: of the Postgres, for the log.
        url: its address, of one host or of several.
        timeout_s: how long opening a connection may take.

    Raises:
        OperatorError: the address is none.
    """

    def __init__(self, name: str, url: str, timeout_s: float) -> None:
        self._name = name
        self._all = [Entrance(address) for address in addresses_of(url)]
        self._timeout_s = timeout_s if len(self._all) == 1 else min(timeout_s, ENTRANCE_S_MAX)
        self._leaving: set[asyncpg.Connection] = set()
        self._returns: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._all)

    async def connect(self, **options: Any) -> asyncpg.Connection:
        """A connection through the entrance that has the fewest, with the options that suit it.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: none lets us in.
        """
        *others, last = self._in_order()
        for entrance in others:
            try:
                return await self._connect(entrance, options)
            except _NO_ENTRY as error:
                self._leave_out(entrance, error)
        try:
            return await self._connect(last, options)
        except _NO_ENTRY as error:
            self._leave_out(last, error)
            raise

    async def statement_options(self) -> dict[str, Any]:
        """The options for asyncpg that suit every entrance: of several, one may lose prepared statements."""
        if self.count > 1:
            return {"statement_cache_size": 0}
        return await self._all[0].statement_options(self._timeout_s)

    async def keep_prepared_statements(self) -> bool:
        """Whether prepared statements are kept on every way in."""
        asked = [await entrance.statement_options(self._timeout_s) for entrance in self._in_order()]
        return not any(asked)

    async def probe(self) -> None:
        """Ask through every entrance; those that do not answer are left out, and those that do are used again.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: none answers.
        """
        if self.count == 1:
            return await self._all[0].probe(self._timeout_s)
        troubles = await asyncio.gather(*(self._ask(entrance) for entrance in self._all))
        for entrance, trouble in zip(self._all, troubles, strict=True):
            if trouble is None:
                self._take_back(entrance)
            else:
                self._leave_out(entrance, trouble)
        if all(troubles) and troubles[0] is not None:
            raise troubles[0]
        return None

    def is_leaving(self, connection: asyncpg.Connection) -> bool:
        """Whether a connection, which nobody uses at the moment, is to be closed for one through another entrance."""
        if not self._leaving:
            return False
        leaves = connection in self._leaving
        self._leaving.discard(connection)
        return leaves

    async def close(self) -> None:
        """Look after none of them any longer."""
        await end_tasks(list(self._returns))

    def _in_order(self) -> list[Entrance]:
        """Whom to try, one after the other; those that are left out only where that is all."""
        within = [entrance for entrance in self._all if not entrance.is_out] or self._all
        return sorted(within, key=lambda entrance: (entrance.load, random.random()))

    async def _connect(self, entrance: Entrance, options: dict[str, Any]) -> asyncpg.Connection:
        connection = await entrance.connect(self._timeout_s, **options)
        connection.add_termination_listener(self._leaving.discard)
        return connection

    async def _ask(self, entrance: Entrance) -> Exception | None:
        """Why an entrance does not answer; None where it does."""
        try:
            async with asyncio.timeout(ENTRANCE_S_MAX):
                await entrance.probe(self._timeout_s)
        except _NO_ENTRY as error:
            return error
        return None

    def _leave_out(self, entrance: Entrance, trouble: Exception) -> None:
        if self.count == 1 or entrance.is_out:
            return
        entrance.is_out = True
        logger.warning("shard %s: the PgBouncer at %s is left out (%r)", self._name, entrance.place, trouble)
        if not isinstance(trouble, asyncpg.PostgresError):
            # Dead or hanging, and not only full: who waits there for an answer asks elsewhere.
            entrance.cut_off()
        awaiting = detached(self._await_return(entrance))
        self._returns.add(awaiting)
        awaiting.add_done_callback(self._returns.discard)

    async def _await_return(self, entrance: Entrance) -> None:
        for rest_s in PROBE.rests():
            await asyncio.sleep(rest_s)
            if not entrance.is_out or await self._ask(entrance) is None:
                break
        self._take_back(entrance)

    def _take_back(self, entrance: Entrance) -> None:
        if not entrance.is_out:
            return
        entrance.is_out = False
        logger.warning("shard %s: the PgBouncer at %s is used again", self._name, entrance.place)
        # What the others took over in the meantime goes back: so many of theirs are closed when nobody uses them.
        within = [each for each in self._all if not each.is_out]
        share = -(-sum(len(each.connections) for each in within) // len(within))
        for each in within:
            self._leaving.update(list(each.connections)[share:])
