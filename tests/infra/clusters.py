"""What tests of the local cluster share: supervisors that can be killed, and looks at what a cluster keeps."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from domain.errors import OperatorError
from infra.local.cluster import LocalCluster

_SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from infra.local.cluster import LocalCluster

async def supervise():
    async with LocalCluster(Path(sys.argv[1]), int(sys.argv[2])).running():
        print("up", flush=True)
        await asyncio.Event().wait()

asyncio.run(supervise())
"""


@asynccontextmanager
async def supervised(data: Path, shard_count: int, **variables: str) -> AsyncIterator[psutil.Process]:
    """A cluster on `data` under a supervisor of its own, which the test ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _SUPERVISOR, str(data), str(shard_count)),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | variables,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"up\n"
        yield psutil.Process(process.pid)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def is_alive(process: psutil.Process) -> bool:
    """Whether it still does anything; one that is dead and not yet waited for does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def read_cluster_file(data: Path) -> dict[str, Any]:
    """What `cluster.json` says."""
    described: dict[str, Any] = json.loads((data / "cluster.json").read_text())
    return described


def everything_in(directory: Path) -> dict[str, tuple[int, int]]:
    """Each file with its size and time of change, but the lock, which every start writes."""
    files = (path for path in directory.rglob("*") if path.is_file() and path != directory / "lock")
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


async def refusal_of(cluster: LocalCluster) -> str:
    """What `cluster` says instead of starting."""
    with pytest.raises(OperatorError) as refused:
        async with cluster.running():
            pytest.fail("it was started")
    return str(refused.value)
