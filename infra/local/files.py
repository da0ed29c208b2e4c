"""Files that hold secrets or must never be seen half written, and directories that go as a whole."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

_DELETE_TRIES_MAX = 30
_DELETE_PAUSE_SECONDS = 0.1


def write_private(path: Path, text: str) -> None:
    """Replace `path` in one step with `text`, readable by its owner alone."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def write_private_json(path: Path, value: Any) -> None:
    """Replace `path` in one step with `value` as JSON, readable by its owner alone."""
    write_private(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """What the file holds, or None when there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


async def delete_directory(path: Path) -> None:
    """Delete `path` with all it holds; where there is none, nothing happens.

    Nobody deletes any more when this has returned or raised, also when it was cancelled.

    Raises:
        OSError: something in it cannot be deleted.
    """
    # A full shard is so many files that deleting them would keep a supervisor from its other work.
    deleting = asyncio.create_task(asyncio.to_thread(_delete, path))
    try:
        await asyncio.shield(deleting)
    except asyncio.CancelledError:
        await asyncio.wait([deleting])
        raise


def _delete(path: Path) -> None:
    # Sessions of a server that was killed may write files for a moment yet, and make a directory not empty again.
    for _ in range(1, _DELETE_TRIES_MAX):
        if not os.path.lexists(path):
            return
        try:
            shutil.rmtree(path)
        except OSError:
            time.sleep(_DELETE_PAUSE_SECONDS)
    if os.path.lexists(path):
        shutil.rmtree(path)
