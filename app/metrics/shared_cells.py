"""Metrics of this process in memory that the machine's other API processes read, also after it was killed.

Each process has two files of one number in a directory that they share: `3.cells`, doubles that it writes through
memory and holds a lock on, and `3.names`, a line of JSON for each child: its metric, labels, bounds and place. Who
reads takes a file without a lock for a dead process's: what that counted still counts, what it held as gauges is gone.
A process that starts takes over the files of a dead one and counts on in them. So no count ever falls or is there
twice, and there are never more files than there were processes at once.
"""

from __future__ import annotations

import fcntl
import json
import logging
import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from math import nan
from pathlib import Path

from domain.metrics.instruments import Cells, Instrument, LocalCells, Values

logger = logging.getLogger(__name__)

_CELL_BYTES = 8
_CELLS_MAX = 32_768


@dataclass(frozen=True, slots=True)
class Name:
    """Whose cells begin where."""

    metric: str
    kind: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    at: int
    size: int

    def is_of(self, instrument: Instrument) -> bool:
        """Whether its cells hold what this version of the instrument does."""
        return (self.kind, len(self.labels), self.bounds, self.size) == (
            instrument.kind,
            len(instrument.labels),
            instrument.bounds,
            instrument.size,
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What one process measured. `alive`: whether it still runs."""

    names: list[Name]
    values: memoryview[float]
    alive: bool


def open_shared_cells(directory: Path) -> Cells:
    """Cells that others read; cells of this process alone where that cannot be, which is logged."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SharedCells(directory)
    except OSError as error:
        logger.warning(
            "SHARDBOARD_METRICS_DIR=%s cannot be used (%s); this process reports its own numbers alone",
            directory,
            error.strerror or error,
        )
        return LocalCells()


class SharedCells:
    """The cells of this process, in the first pair of files in `directory` that no living process has.

    Raises:
        OSError: the files cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        self._lock, path = _take_free(directory)
        # Written out once, because a page that the disk has no room for would end the process when it is touched.
        if os.fstat(self._lock).st_size < _CELLS_MAX * _CELL_BYTES:
            os.pwrite(self._lock, bytes(_CELLS_MAX * _CELL_BYTES), 0)
        self._map = mmap.mmap(self._lock, _CELLS_MAX * _CELL_BYTES)
        self._values = memoryview(self._map).cast("d")
        names = path.with_suffix(".names")
        self._names = os.open(names, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        known = _read_names(names)
        # A line that its writer was killed in is none.
        os.truncate(names, sum(len(_line(name)) for name in known))
        self._places = {(name.metric, name.kind, name.labels, name.bounds): name.at for name in known}
        for name in known:
            if name.kind == "gauge":
                self._fill(name.at, name.size, nan)
        self._end = max((name.at + name.size for name in known), default=0)
        self._own = LocalCells()

    def allot(self, instrument: Instrument, labels: Sequence[str]) -> tuple[Values, int]:
        """See `Cells`. What an earlier process counted in them is still there."""
        key = (instrument.name, instrument.kind, tuple(labels), instrument.bounds)
        at = self._places.get(key)
        if at is None:
            at, self._end = self._end, self._end + instrument.size
            if self._end > _CELLS_MAX:
                self._end = at
                logger.warning("no room is left for %s %s; it is counted in this process alone", key[0], key[2])
                return self._own.allot(instrument, labels)
            self._places[key] = at
            self._fill(at, instrument.size, instrument.empty)
            os.write(self._names, _line(Name(*key, at=at, size=instrument.size)))
        return self._values, at  # type: ignore[return-value]  # as good as a sequence of numbers

    def close(self) -> None:
        """Let another process take the files over, as when this one ends; nothing may be counted here any more."""
        self._values.release()
        # It holds the lock as well.
        self._map.close()
        os.close(self._lock)
        os.close(self._names)

    def _fill(self, at: int, size: int, value: float) -> None:
        for place in range(at, at + size):
            self._values[place] = value


def read_all(directory: Path) -> Iterator[Seen]:
    """What every process of the directory measured, dead ones included."""
    for path in sorted(directory.glob("*.cells")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            alive = not _try_lock(descriptor, fcntl.LOCK_SH)
            values = os.pread(descriptor, _CELLS_MAX * _CELL_BYTES, 0)
        finally:
            os.close(descriptor)
        names = _read_names(path.with_suffix(".names"))
        if len(values) == _CELLS_MAX * _CELL_BYTES:
            yield Seen(names, memoryview(values).cast("d"), alive)


def _take_free(directory: Path) -> tuple[int, Path]:
    """The first number that no living process has: its file of cells, locked until it is closed."""
    for number in count():
        path = directory / f"{number}.cells"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _try_lock(descriptor, fcntl.LOCK_EX):
            return descriptor, path
        os.close(descriptor)
    raise AssertionError


def _try_lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_names(path: Path) -> list[Name]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    names = []
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        metric, kind, labels, bounds, at, size = json.loads(line)
        names.append(Name(metric, kind, tuple(labels), tuple(bounds), at, size))
    return names


def _line(name: Name) -> bytes:
    return f"{json.dumps([name.metric, name.kind, name.labels, name.bounds, name.at, name.size])}\n".encode()
