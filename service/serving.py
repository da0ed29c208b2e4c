"""That this process serves: every shard is told, and looked at whether this version can serve its tables."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import suppress
from importlib.metadata import version
from uuid import uuid4

from db.postgres import Postgres
from db.schema import SchemaState, newest_revision, read_schema, why_not_served
from db.serving import ServingProcess, forget_serving, note_serving
from domain.errors import OperatorError, ShardboardError, Unavailable
from domain.resilience.limits import HEALTH_ASK_S_MAX, SERVING_INTERVAL_S
from service.shard_workers import ShardWorkers
from sharding.router import Router
from sharding.shard import Shard

logger = logging.getLogger(__name__)


async def require_servable(router: Router) -> None:
    """See that this version can serve the tables of every shard that answers.

    Raises:
        OperatorError: it cannot; says why and what to do.
    """
    await asyncio.gather(*(_require(shard.postgres) for shard in router.shards.values()))


class Serving:
    """Tells every shard that this process serves it, from `start` to `close`."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._workers = ShardWorkers(router, self._keep_telling)
        self._complaints: dict[str, str] = {}
        self.process = ServingProcess(
            process_id=uuid4(),
            version=f"shardboard {version('shardboard')}",
            schema_known=newest_revision(),
            host=socket.gethostname(),
            pid=os.getpid(),
        )

    async def start(self) -> None:
        """Tell every shard that answers; from then on no contract migration is run that would break this process.

        Raises:
            OperatorError: this version cannot serve the tables of a shard.
        """
        await require_servable(self._router)
        # Once more by what the shards answer: one may have been contracted between the two questions.
        await asyncio.gather(*(self._begin(shard.postgres) for shard in self._router.shards.values()))
        self._workers.start()

    async def close(self) -> None:
        """Tell them that it serves no more; one that does not answer forgets it by itself."""
        await self._workers.close()
        await asyncio.gather(*(self._forget(shard.postgres) for shard in self._router.shards.values()))

    async def _begin(self, postgres: Postgres) -> None:
        with suppress(Unavailable):
            _refuse(postgres.name, await note_serving(postgres, self.process))

    async def _keep_telling(self, shard: Shard) -> None:
        while True:
            try:
                state = await note_serving(shard.postgres, self.process)
                self._complain(shard.name, why_not_served(state))
            except ShardboardError as error:
                logger.debug("shard %s was not told who serves it: %s", shard.name, error)
            except Exception:
                logger.exception("shard %s was not told who serves it", shard.name)
            await asyncio.sleep(SERVING_INTERVAL_S)

    async def _forget(self, postgres: Postgres) -> None:
        try:
            async with asyncio.timeout(HEALTH_ASK_S_MAX):
                await forget_serving(postgres, self.process)
        except (ShardboardError, TimeoutError) as error:
            logger.info("shard %s was not told that this process serves no more: %r", postgres.name, error)

    def _complain(self, shard: str, why: str | None) -> None:
        """Log once, not every few seconds, that a shard cannot be served any more."""
        if why is None:
            self._complaints.pop(shard, None)
        elif self._complaints.get(shard) != why:
            self._complaints[shard] = why
            logger.error("shard %s cannot be served: %s", shard, why)


async def _require(postgres: Postgres) -> None:
    # Of one that is away `/health` says when it is back whether it can be served.
    with suppress(Unavailable):
        _refuse(postgres.name, await read_schema(postgres))


def _refuse(shard: str, state: SchemaState) -> None:
    why = why_not_served(state)
    if why is not None:
        raise OperatorError(f"Shard {shard} cannot be served: {why}.")
