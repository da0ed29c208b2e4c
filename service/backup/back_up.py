"""Back up every shard: one snapshot a shard, all of them to one map of buckets, while scores come in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from db.errors import as_unavailable
from db.kept_tables import KEPT_TABLES, KeptTable
from db.schema import needed_revision, newest_revision
from db.snapshot import Snapshot, open_snapshot
from domain.errors import OperatorError
from domain.tasks import end_tasks
from service.backup.folder import PackedFile, new_folder, write_file
from service.backup.manifest import MANIFEST, KeptFile, KeptShard, Manifest, encode, path_of, runs_of
from service.renew_ranks import Progress, no_progress
from sharding.reshard.fleet import Fleet
from sharding.shardmap import ShardMap, build_map


async def back_up(fleet: Fleet, folder: Path, service_version: str, progress: Progress = no_progress) -> Manifest:
    """Write a backup to a new folder; it is there whole or not at all.

    Every session that was acknowledged before is in it; of those that come in meanwhile some are, each with its total.

    Args:
        fleet: the caller holds the movers' lock on every shard, so that no bucket moves meanwhile.
        progress: told the number of rows written.

    Raises:
        OperatorError: the folder is there, or cannot be written; or a shard is of another schema.
        MapError: the shards do not agree on who owns what.
        Unavailable: a shard does not answer.
    """
    began_at = datetime.now(UTC)
    await fleet.read_map()
    async with AsyncExitStack() as stack:
        with new_folder(folder) as part:
            snapshots = [await stack.enter_async_context(open_snapshot(each)) for each in fleet.direct.values()]
            owners = _require_one_map(snapshots)
            revision = _require_schema(snapshots)
            task = _Backup(part, owners, progress)
            tasks = [asyncio.create_task(task.write_shard(snapshot)) for snapshot in snapshots]
            try:
                shards = await asyncio.gather(*tasks)
            finally:
                await end_tasks(tasks)
            manifest = Manifest(
                backup_id=uuid4(),
                service_version=service_version,
                schema_revision=revision,
                began_at=began_at,
                ended_at=datetime.now(UTC),
                shards=tuple(shards),
            )
            write_file(part / MANIFEST, encode(manifest))
    return manifest


def _require_one_map(snapshots: Sequence[Snapshot]) -> ShardMap:
    """The map that the snapshots themselves make: each bucket is whole on the shard that owns it there."""
    found = build_map({snapshot.name: snapshot.facts.ownership for snapshot in snapshots})
    if found.unclaimed:
        raise OperatorError(
            "Buckets changed hands while the backup began; nothing is left of it. Run it again when "
            "`shardboard shards status` shows no move under way."
        )
    return found


def _require_schema(snapshots: Sequence[Snapshot]) -> str:
    """The one schema of all shards. What a newer version added to the tables would be missing in the backup."""
    for snapshot in snapshots:
        revision = snapshot.facts.revision
        if not needed_revision() <= revision <= newest_revision():
            raise OperatorError(
                f"Shard {snapshot.name} has the schema {revision}, and this Shardboard backs up {needed_revision()} to "
                f"{newest_revision()}: run `shardboard migrate`, or back up with the version that migrated it."
            )
        if revision != snapshots[0].facts.revision:
            raise OperatorError(
                f"Shards {snapshots[0].name} and {snapshot.name} have the schemas {snapshots[0].facts.revision} and "
                f"{revision}: run `shardboard migrate` to its end first."
            )
    return snapshots[0].facts.revision


class _Backup:
    """One run: where it writes, whose buckets are whose, and how far it is."""

    def __init__(self, part: Path, owners: ShardMap, progress: Progress) -> None:
        self._part = part
        self._owners = owners
        self._progress = progress
        self._rows = 0

    async def write_shard(self, snapshot: Snapshot) -> KeptShard:
        """Write every table of one shard."""
        buckets = self._owners.owned.get(snapshot.name, ())
        epochs: Mapping[int, int] = {bucket: self._owners.epochs[bucket] for bucket in buckets}
        (self._part / path_of(snapshot.name, "")).parent.mkdir(mode=0o700)
        with as_unavailable(snapshot.name):
            files = [await self._write_table(snapshot, table, buckets) for table in KEPT_TABLES]
        facts = snapshot.facts
        return KeptShard(
            name=snapshot.name,
            at=facts.at,
            server_version=facts.server_version,
            buckets=runs_of(dict(epochs)),
            partitions=tuple(facts.partitions),
            pruned_before=facts.pruned_before,
            files=tuple(files),
        )

    async def _write_table(self, snapshot: Snapshot, table: KeptTable, buckets: Sequence[int]) -> KeptFile:
        path = path_of(snapshot.name, table.name)
        with closing(PackedFile(self._part / path)) as file:

            async def take(chunk: bytes) -> None:
                await file.write(chunk)
                # In COPY's text format a newline ends a row and stands nowhere else.
                self._rows += chunk.count(b"\n")
                self._progress(self._rows)

            rows = await snapshot.copy(table, buckets, take)
            await file.finish()
        measured = await snapshot.measure(table, buckets)
        if measured.rows != rows:
            raise OperatorError(
                f"Shard {snapshot.name} gave {rows} rows of {table.name} and counts {measured.rows}; nothing is left "
                "of the backup. Is an index of it broken? `shardboard doctor` looks."
            )
        return KeptFile(table.name, path, table.columns, file.bytes, file.sha256, rows, dict(measured.sums))
