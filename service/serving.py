"""Whether this version can serve the tables of every shard."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from db.postgres import Postgres
from db.schema import SchemaState, read_schema, why_not_served
from domain.errors import OperatorError, Unavailable
from sharding.router import Router


async def require_servable(router: Router) -> None:
    """See that this version can serve the tables of every shard that answers.

    Raises:
        OperatorError: it cannot; says why and what to do.
    """
    await asyncio.gather(*(_require(shard.postgres) for shard in router.shards.values()))


async def _require(postgres: Postgres) -> None:
    # Of one that is away `/health` says when it is back whether it can be served.
    with suppress(Unavailable):
        _refuse(postgres.name, await read_schema(postgres))


def _refuse(shard: str, state: SchemaState) -> None:
    why = why_not_served(state)
    if why is not None:
        raise OperatorError(f"Shard {shard} cannot be served: {why}.")
