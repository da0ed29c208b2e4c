"""How far the schema of each shard is, who serves it, and whether contract migrations may be run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from db.directory import DirectoryEntry
from db.postgres import Postgres
from db.schema import Migration, SchemaState, all_migrations, read_schema
from db.serving import ServingProcess, list_serving, why_not_contracted
from domain.errors import NoTables, OperatorError, ShardboardError, Unavailable


@dataclass(frozen=True, slots=True)
class ShardSchema:
    """One shard: the state of its tables, or why that is not known; None where it is empty.

    serving: the processes that said of late that they serve it.
    """

    shard: str
    state: SchemaState | None
    serving: Sequence[ServingProcess] = ()
    error: ShardboardError | None = None

    @property
    def lacking(self) -> list[Migration]:
        """The migrations of this version that it has not had, in order."""
        revision = self.state.revision if self.state else ""
        return [each for each in all_migrations() if each.revision > revision]

    @property
    def why_not_contracted(self) -> str | None:
        """Why the contract migrations that it lacks may not be run now; None where they may, or there are none."""
        contracts = [each for each in self.lacking if each.phase == "contract"]
        return why_not_contracted(contracts[-1].revision, self.serving) if contracts else None


async def read_schemas(shards: Sequence[DirectoryEntry]) -> list[ShardSchema]:
    """Look at every shard as its owner; one that does not answer does not keep the others from it."""
    return await asyncio.gather(*map(_read, shards))


async def refuse_to_contract(shards: Sequence[DirectoryEntry]) -> None:
    """See that no process serves which the lacking contract migrations would break, on whichever shard it says so.

    Raises:
        OperatorError: one does; says which.
        Unavailable: a shard does not answer, so who serves it is not known.
    """
    schemas = await read_schemas(shards)
    for schema in schemas:
        if isinstance(schema.error, Unavailable):
            raise Unavailable(
                f"Shard {schema.shard} does not answer, so nobody can tell who serves it; contract migrations wait "
                "until every shard answers. Nothing was done."
            ) from schema.error.__cause__
    contracts = {each.revision for schema in schemas for each in schema.lacking if each.phase == "contract"}
    serving = {each.process_id: each for schema in schemas for each in schema.serving}
    why = why_not_contracted(max(contracts), serving.values()) if contracts else None
    if why is not None:
        raise OperatorError(f"{why} Nothing was done.")


async def _read(shard: DirectoryEntry) -> ShardSchema:
    postgres = Postgres(shard.name, shard.direct_url)
    try:
        return ShardSchema(shard.name, await read_schema(postgres), await list_serving(postgres))
    except NoTables:
        return ShardSchema(shard.name, None)
    except ShardboardError as error:
        return ShardSchema(shard.name, None, error=error)
    finally:
        await postgres.close()
