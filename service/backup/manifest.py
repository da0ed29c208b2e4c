"""What a backup says of itself, in `manifest.json`: written last, so that a folder without it is no whole backup."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec

from domain.errors import OperatorError

MANIFEST = "manifest.json"
FORMAT = "shardboard-backup"
FORMAT_VERSION = 1


class KeptFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of one shard: COPY's text format, in gzip.

    bytes, sha256: of the file as it is on the disk.
    rows, sums: of the table, counted by the shard in the snapshot that the file was made of.
    """

    table: str
    path: str
    columns: tuple[str, ...]
    bytes: int
    sha256: str
    rows: int
    sums: dict[str, int]


class KeptShard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One shard.

    at: the instant of its snapshot, by its own clock.
    buckets: what it owns, as runs (first bucket, last bucket, epoch).
    partitions: the names of the months' tables of its sessions.
    pruned_before: since when its sessions are whole.
    """

    name: str
    at: datetime
    server_version: str
    buckets: tuple[tuple[int, int, int], ...]
    partitions: tuple[str, ...]
    pruned_before: datetime | None
    files: tuple[KeptFile, ...]

    @property
    def epochs(self) -> dict[int, int]:
        """The epoch of each bucket that it owns."""
        return {bucket: epoch for first, last, epoch in self.buckets for bucket in range(first, last + 1)}

    def file(self, table: str) -> KeptFile:
        """The file of a table."""
        return next(file for file in self.files if file.table == table)


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole backup. `schema_revision` is the version of the tables, `service_version` that of who made it."""

    backup_id: UUID
    service_version: str
    schema_revision: str
    began_at: datetime
    ended_at: datetime
    shards: tuple[KeptShard, ...]

    def rows(self, table: str) -> int:
        """How many rows of a table there are on all shards."""
        return sum(shard.file(table).rows for shard in self.shards)

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for shard in self.shards for file in shard.files)


def path_of(shard: str, table: str) -> str:
    """Where in a backup a table of a shard is."""
    return f"shard-{quote(shard, safe='')}/{table}.copy.gz"


def runs_of(epochs: dict[int, int]) -> tuple[tuple[int, int, int], ...]:
    """Buckets with their epochs, as runs of neighbours with one epoch."""
    runs: list[tuple[int, int, int]] = []
    for bucket, epoch in sorted(epochs.items()):
        if runs and runs[-1][1] == bucket - 1 and runs[-1][2] == epoch:
            runs[-1] = (runs[-1][0], bucket, epoch)
        else:
            runs.append((bucket, bucket, epoch))
    return tuple(runs)


def encode(manifest: Manifest) -> bytes:
    """The text of a manifest."""
    content = msgspec.to_builtins(manifest)
    document = {"format": FORMAT, "format_version": FORMAT_VERSION, "sha256": _digest(content), "backup": content}
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def read_manifest(folder: Path) -> Manifest:
    """What a backup says of itself.

    Raises:
        OperatorError: it is no backup, an incomplete, a changed, or one of a newer service; says which.
    """
    if not folder.is_dir():
        raise OperatorError(f"{folder} is no folder; a backup is one, with {MANIFEST} in it.")
    try:
        text = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise OperatorError(
            f"{folder} has no {MANIFEST}: it is no backup, or one that was stopped before its end, which cannot be "
            "used."
        ) from None
    except OSError as error:
        raise OperatorError(f"{folder / MANIFEST} cannot be read: {error.strerror}.") from None
    return _decode(folder, text)


def _decode(folder: Path, text: bytes) -> Manifest:
    try:
        document: Any = json.loads(text)
    except ValueError:
        raise OperatorError(f"{folder / MANIFEST} is damaged: it is no JSON. Use another backup.") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise OperatorError(f"{folder} is no backup of Shardboard: {MANIFEST} is of another program.")
    version = document.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise OperatorError(
            f"{folder} has the format {version}, and this Shardboard reads up to {FORMAT_VERSION}: use the one that "
            "made it, or a newer one."
        )
    content = document.get("backup")
    if document.get("sha256") != _digest(content):
        raise OperatorError(f"{folder / MANIFEST} is damaged: its checksum differs. Use another backup.")
    try:
        return msgspec.convert(content, Manifest)
    except msgspec.ValidationError as error:
        raise OperatorError(f"{folder / MANIFEST} is damaged: {error}. Use another backup.") from None


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
