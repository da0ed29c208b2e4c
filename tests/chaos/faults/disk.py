"""A small disk for one shard, which can be filled: a file system in memory, where this machine lets us mount one."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SIZE_MB = 320
_PAGE_BYTES = 4096


class SmallDisk:
    """A mounted file system of a fixed size."""

    def __init__(self, directory: Path) -> None:
        self._filler = directory / "filler"

    @classmethod
    @contextmanager
    def mounted(cls, directory: Path) -> Iterator[SmallDisk | None]:
        """Mount one at `directory` while the block lasts; None where that is not allowed."""
        directory.mkdir(parents=True)
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE_MB}m,mode=0700", "shardboard-small", str(directory)]
        try:
            allowed = subprocess.run(mounting, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            allowed = False
        if not allowed:
            directory.rmdir()
            yield None
            return
        try:
            yield cls(directory)
        finally:
            subprocess.run(["umount", "--lazy", str(directory)], check=True, capture_output=True)

    def fill(self) -> None:
        """Leave no byte free."""
        with self._filler.open("wb") as file:
            end, piece = 0, _SIZE_MB * 1024 * 1024
            while piece >= _PAGE_BYTES:
                try:
                    os.posix_fallocate(file.fileno(), end, piece)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    piece //= 2
                else:
                    end += piece

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink(missing_ok=True)
