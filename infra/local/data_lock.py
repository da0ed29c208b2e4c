"""One supervisor for one DATA directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.errors import OperatorError

_LOCK = "lock"


@contextmanager
def hold_data(data: Path) -> Iterator[None]:
    """Hold `data`, made if it is not there, for this process; the system lets go of it when the process ends.

    Raises:
        OperatorError: another process holds it, it belongs to somebody else, or it cannot be made.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        _require_ours(data)
        # Servers that run as another user pass through here; what nobody else may read has its own mode.
        data.chmod(0o711)
        descriptor = os.open(data / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise OperatorError(f"cannot keep a cluster in {data}: {error.strerror}") from error
    try:
        _lock(descriptor, data)
        yield
    finally:
        os.close(descriptor)


def _require_ours(data: Path) -> None:
    held = sorted(os.listdir(data))
    if held and _LOCK not in held:
        raise OperatorError(f"{data} is not empty and holds no cluster (but {held[0]}): choose another DATA directory")


def _lock(descriptor: int, data: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode().strip() or "unknown"
        raise OperatorError(
            f"{data} is in use: a cluster runs on it already, under process {holder}; stop that one first, "
            "or choose another DATA and PORT"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
