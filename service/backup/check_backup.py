"""Is a backup whole? Every file is read and compared with the manifest before anything is made of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from db.kept_tables import KEPT_TABLES
from domain.errors import OperatorError
from service.backup.folder import digest_of
from service.backup.manifest import Manifest, path_of, read_manifest
from service.renew_ranks import Progress, no_progress


async def check_backup(folder: Path, progress: Progress = no_progress) -> Manifest:
    """Read a whole backup; says what it holds.

    Args:
        progress: told the number of bytes read.

    Raises:
        OperatorError: it is none, is incomplete, damaged, or of a newer service; says which file.
    """
    manifest = read_manifest(folder)
    _require_tables(folder, manifest)
    done = 0
    for file in (file for shard in manifest.shards for file in shard.files):
        path = folder / file.path
        try:
            size = path.stat().st_size
            digest = await asyncio.to_thread(digest_of, path) if size == file.bytes else None
        except FileNotFoundError:
            raise OperatorError(f"The backup is not whole: {path} is missing. Nothing was changed.") from None
        except OSError as error:
            raise OperatorError(f"{path} cannot be read: {error.strerror}. Nothing was changed.") from None
        if digest is None:
            raise OperatorError(
                f"The backup is damaged: {path} has {size} bytes and was written with {file.bytes}. "
                "Nothing was changed."
            )
        if digest != file.sha256:
            raise OperatorError(
                f"The backup is damaged: {path} is not as it was written (its SHA-256 differs). Nothing was changed."
            )
        done += size
        progress(done)
    return manifest


def _require_tables(folder: Path, manifest: Manifest) -> None:
    """See that each shard has each table once, as this version has it, under the name that it has to have."""
    wanted = [table.name for table in KEPT_TABLES]
    for shard in manifest.shards:
        if [file.table for file in shard.files] != wanted:
            raise OperatorError(
                f"{folder} holds other tables of shard {shard.name} than this Shardboard restores: use version "
                f"{manifest.service_version}, which made it."
            )
        for file, table in zip(shard.files, KEPT_TABLES, strict=True):
            if file.columns != table.columns:
                raise OperatorError(
                    f"{folder} has other columns of {table.name} than this Shardboard restores: use version "
                    f"{manifest.service_version}, which made it."
                )
        if any(file.path != path_of(shard.name, file.table) for file in shard.files):
            raise OperatorError(f"{folder} names files of shard {shard.name} that are not its own.")
