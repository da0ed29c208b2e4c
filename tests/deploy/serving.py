"""One API process in front of the session's cluster."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.cli.api_children import api_environment, read_health
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from tests.waiting import until

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Served:
    port: int
    process: asyncio.subprocess.Process
    key: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """What shows the server key."""
        return {"authorization": f"Bearer {self.key}"}


@asynccontextmanager
async def served(
    cluster: LocalCluster,
    command: Sequence[str | Path] = (sys.executable, "-m", "app.cli.main", "serve"),
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Served]:
    """`shardboard serve` on a free port, healthy when the block begins and ended when it is left."""
    port = find_free_port(set())
    own = api_environment(cluster) | {"SHARDBOARD_PORT": str(port)} | dict(environment or {})
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, env=os.environ | own)

    async def is_healthy() -> bool:
        assert process.returncode is None, f"ended with {process.returncode} before it was healthy"
        health = await read_health(port)
        return health is not None and health["status"] == "healthy"

    try:
        await until(is_healthy, seconds_max=30)
        yield Served(port, process, own["SHARDBOARD_SERVER_KEY"])
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
            raise
