"""Make a deployment of a backup: whole or closed to players, and begun again wherever it was killed.

1. The caller has checked every file (`check_backup`).
2. Every shard is looked at; one that holds anything else is refused.
3. All shards are closed: nobody writes to any bucket until the end.
4. Each shard is loaded in one transaction, and counted in it.
5. The shards must make one map. The ranks are built anew.
6. All shards are opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from db.bulk import tidy
from db.errors import as_unavailable
from db.kept_tables import KEPT_TABLES
from db.ownership import read_ownership
from db.postgres import Postgres
from db.replication import list_traces
from db.restored import (
    Load,
    ShardState,
    close_shard,
    open_load,
    open_shard,
    read_state,
    summed,
    was_loaded_from,
)
from db.snapshot import Measured
from domain.errors import OperatorError
from domain.tasks import end_tasks
from service.backup.folder import unpacked
from service.backup.manifest import KeptShard, Manifest
from service.backup.targets import assign
from service.renew_ranks import Progress, no_progress
from sharding.reshard.fleet import Fleet
from sharding.shardmap import build_map


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of the shards: loaded now, or by an earlier run that was stopped."""

    loaded: list[str]
    loaded_before: list[str]


async def load_shards(
    fleet: Fleet,
    folder: Path,
    manifest: Manifest,
    *,
    renames: Mapping[str, str],
    overwrite: bool,
    progress: Progress = no_progress,
) -> Restored:
    """Close all shards and load them; they stay closed until `open_shards`.

    Args:
        fleet: all shards; the caller holds the movers' lock on every one alone.
        renames: shards of the backup that go to a shard of another name.
        overwrite: whether what the shards hold goes; otherwise they have to be empty.
        progress: told the number of rows loaded.

    Raises:
        OperatorError: a shard is not fit for it, or has other rows afterwards than the backup says.
        Unavailable: a shard does not answer. What is loaded stays so; begin again.
    """
    given = assign([shard.name for shard in manifest.shards], list(fleet.direct), renames)
    states = await fleet.ask(read_state)
    _require_fit(manifest, states, await fleet.ask(list_traces))
    plan = _Plan(manifest, given, states, overwrite=overwrite)
    plan.require_room()
    if plan.to_load:
        await asyncio.gather(*(close_shard(fleet.direct[name]) for name in plan.to_load))
        task = _Loads(folder, plan, progress)
        tasks = [asyncio.create_task(task.load(fleet.direct[name])) for name in plan.to_load]
        try:
            await asyncio.gather(*tasks)
        finally:
            await end_tasks(tasks)
    build_map(await fleet.ask(read_ownership))
    return Restored(plan.to_load, plan.loaded)


async def open_shards(fleet: Fleet) -> None:
    """Let players in.

    Raises:
        Unavailable: a shard does not answer; begin again.
    """
    await fleet.ask(tidy)
    await fleet.ask(open_shard)


def _require_fit(manifest: Manifest, states: Mapping[str, ShardState], traces: Mapping[str, Sequence[str]]) -> None:
    for name, state in sorted(states.items()):
        if state.revision != manifest.schema_revision:
            raise OperatorError(
                f"The backup has the schema {manifest.schema_revision}, and shard {name} has {state.revision}. Migrate "
                f"empty shards with the version that made it (Shardboard {manifest.service_version}), restore with "
                "that, and migrate to this one then. Nothing was changed."
            )
        if state.moves or traces[name]:
            raise OperatorError(
                f"Moves of buckets are under way on shard {name}: end them first with `shardboard shards abort`. "
                "Nothing was changed."
            )


class _Plan:
    """Which shards are loaded with what, and with which epochs."""

    def __init__(
        self,
        manifest: Manifest,
        given: Mapping[str, Sequence[str]],
        states: Mapping[str, ShardState],
        *,
        overwrite: bool,
    ) -> None:
        by_name = {shard.name: shard for shard in manifest.shards}
        self.manifest = manifest
        self.overwrite = overwrite
        self.sources = {name: [by_name[source] for source in sources] for name, sources in given.items()}
        self._states = states
        done = [name for name in given if self._is_loaded(name)]
        if len(done) < len(given):
            # Shards are opened when all are loaded: one that is open was loaded by a restore of another time.
            done = [name for name in done if states[name].closed]
        elif overwrite and not any(states[name].closed for name in given):
            # That restore came to its end. Whoever wants to overwrite wants to have it once more.
            done = []
        self.loaded = done
        self.to_load = [name for name in given if name not in done]
        # Newer than whatever any shard knows: nobody's old claim can win against a restored one.
        newest = [shard_epoch for shard in manifest.shards for _, _, shard_epoch in shard.buckets]
        self.epoch = 1 + max(*newest, *(state.epoch_max for state in states.values()), 0)

    def require_room(self) -> None:
        """Refuse shards that hold something else."""
        full = [name for name in self.to_load if self._states[name].has_rows]
        if full and not self.overwrite:
            raise OperatorError(
                f"There are players on {', '.join(full)} already. Restore into empty shards, or give --overwrite, "
                "which deletes all that the shards hold. Nothing was changed."
            )

    def expected(self, name: str, table: str) -> Measured:
        """What a shard has to hold of a table afterwards."""
        files = [source.file(table) for source in self.sources[name]]
        return summed([Measured(file.rows, file.sums) for file in files])

    def _is_loaded(self, name: str) -> bool:
        state = self._states[name]
        holds = any(source.file("players").rows for source in self.sources[name])
        return was_loaded_from(self.manifest.backup_id, state.incarnation) and state.has_rows == holds


class _Loads:
    """The loading of all shards, and how far it is."""

    def __init__(self, folder: Path, plan: _Plan, progress: Progress) -> None:
        self._folder = folder
        self._plan = plan
        self._progress = progress
        self._rows = 0

    async def load(self, postgres: Postgres) -> None:
        """Load one shard: all of it, or nothing."""
        name, plan = postgres.name, self._plan
        sources = plan.sources[name]
        async with open_load(postgres, overwrite=plan.overwrite) as load:
            await load.make_months(sorted({month for source in sources for month in source.partitions}))
            for source in sources:
                await self._copy(load, source)
            for table in KEPT_TABLES:
                if table.by_bucket:
                    _require_equal(name, table.name, plan.expected(name, table.name), await load.measure(table))
            buckets = [bucket for source in sources for bucket in source.epochs]
            pruned = [source.pruned_before for source in sources if source.pruned_before is not None]
            await load.become(
                plan.manifest.backup_id, dict.fromkeys(buckets, plan.epoch), max(pruned) if pruned else None
            )

    async def _copy(self, load: Load, source: KeptShard) -> None:
        for table in KEPT_TABLES:
            file = source.file(table.name)
            with as_unavailable(load.name):
                await load.copy(table, self._counted(self._folder / file.path))

    async def _counted(self, path: Path) -> AsyncIterator[bytes]:
        async for chunk in unpacked(path):
            yield chunk
            self._rows += chunk.count(b"\n")
            self._progress(self._rows)


def _require_equal(shard: str, table: str, expected: Measured, found: Measured) -> None:
    if expected.rows != found.rows or any(found.sums[name] != value for name, value in expected.sums.items()):
        raise OperatorError(
            f"Shard {shard} would hold {found.rows} rows of {table} with {dict(found.sums)}, and the backup says "
            f"{expected.rows} with {dict(expected.sums)}; nothing was changed there."
        )
