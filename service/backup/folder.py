"""The folder of a backup: under another name until it is whole, and on the disk before it gets its own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.errors import OperatorError

_INCOMPLETE = ".incomplete-"
# gzip; the lowest level, as a higher one takes three times as long for a tenth less.
_GZIP, _LEVEL = 31, 1
_CHUNK = 1 << 20


class DiskError(Exception):
    """The disk took no more: a type of its own, as an OSError could also be a connection's."""


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder that is `folder` after the block, whole and on the disk; gives its path until then.

    A failure takes it away; what is left by a process that was killed is called `….incomplete-…`.

    Raises:
        OperatorError: there is something of that name, or it cannot be written.
    """
    if os.path.lexists(folder):
        raise OperatorError(f"{folder} is there already, and a backup overwrites nothing; name a folder that is not.")
    part = folder.with_name(f"{folder.name}{_INCOMPLETE}{os.getpid()}")
    try:
        part.mkdir(mode=0o700)
        try:
            yield part
            for directory in (part, *(child for child in part.iterdir() if child.is_dir())):
                sync_directory(directory)
            part.rename(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        sync_directory(folder.parent)
    except (OSError, DiskError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise OperatorError(f"The backup was not written to {folder}: {why}. Nothing is left of it.") from error


def find_incomplete(folder: Path) -> list[Path]:
    """What earlier backups to this name left that were killed."""
    return sorted(folder.parent.glob(f"{folder.name}{_INCOMPLETE}*"))


def write_file(path: Path, content: bytes) -> None:
    """Write a small file and see it on the disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """See the names in a directory on the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class PackedFile:
    """A new file in gzip, with its digest; written in threads, as packing takes longer than anything else."""

    def __init__(self, path: Path) -> None:
        """Make it; there must be none."""
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)
        self._gzip = zlib.compressobj(_LEVEL, wbits=_GZIP)
        self._digest = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self.bytes = 0

    @property
    def sha256(self) -> str:
        """The digest of what was written, in hex."""
        return self._digest.hexdigest()

    async def write(self, chunk: bytes) -> None:
        """Add to it.

        Raises:
            DiskError: the disk is full, or the like.
        """
        self._waiting.append(chunk)
        self._waiting_bytes += len(chunk)
        if self._waiting_bytes >= _CHUNK:
            await self._pack()

    async def finish(self) -> None:
        """Write the rest and see all of it on the disk.

        Raises:
            DiskError: the disk is full, or the like.
        """
        await self._pack()
        await asyncio.to_thread(self._end)

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    async def _pack(self) -> None:
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        await asyncio.to_thread(lambda: self._put(self._gzip.compress(data)))

    def _put(self, packed: bytes) -> None:
        view = memoryview(packed)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise DiskError(error.strerror) from error
        self._digest.update(packed)
        self.bytes += len(packed)

    def _end(self) -> None:
        self._put(self._gzip.flush())
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise DiskError(error.strerror) from error


async def unpacked(path: Path) -> AsyncIterator[bytes]:
    """What a `PackedFile` was given, in pieces.

    Raises:
        OSError: it cannot be read.
    """
    gzip = zlib.decompressobj(wbits=_GZIP)
    with path.open("rb") as file:
        while packed := await asyncio.to_thread(file.read, _CHUNK):
            if data := await asyncio.to_thread(gzip.decompress, packed):
                yield data
    if data := gzip.flush():
        yield data


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
