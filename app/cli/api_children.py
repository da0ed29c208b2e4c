"""The API processes of a local cluster: how they are started, and what they say of themselves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infra.local.child import ChildSpec
from infra.local.cluster import LocalCluster
from infra.local.ports import HOST
from infra.local.run_as import as_self

_CODE = Path(__file__).parents[2]
_HEALTH_SECONDS_MAX = 2.0


def api_specs(cluster: LocalCluster, count: int) -> list[ChildSpec]:
    """How `count` API processes run, all of them listening on the cluster's port."""

    async def answers(pid: int) -> bool:
        # Any answer will do: one that is started again while a shard is away is up, and says so.
        return await read_health(cluster.port) is not None

    command = as_self().command([sys.executable, "-m", "app.cli.main", "serve"], signal.SIGTERM)
    return [
        ChildSpec(
            role="api",
            name=f"api{number}",
            command=command,
            environment=os.environ | api_environment(cluster),
            options={"cwd": _CODE},
            log=cluster.data / "logs" / f"api{number}.log",
            ready=answers,
            stop_signals=((signal.SIGTERM, 3.0),),
        )
        for number in range(1, count + 1)
    ]


def api_environment(cluster: LocalCluster) -> dict[str, str]:
    """The settings of one API process as variables."""
    return {
        "SHARDBOARD_SHARDS": json.dumps([asdict(shard) for shard in cluster.shards]),
        "SHARDBOARD_REDIS_URL": cluster.redis_url,
        "SHARDBOARD_HOST": HOST,
        "SHARDBOARD_PORT": str(cluster.port),
        "SHARDBOARD_SERVER_KEY": cluster.identity.server_key,
        "SHARDBOARD_ADMIN_KEY": cluster.identity.admin_key,
        "SHARDBOARD_TRY_OUT": "true",
        "PYTHONUNBUFFERED": "1",
    }


async def read_health(port: int) -> dict[str, Any] | None:
    """What `GET /health` answers now; None when nothing answers."""
    try:
        async with asyncio.timeout(_HEALTH_SECONDS_MAX):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(f"GET /health HTTP/1.0\r\nHost: {HOST}:{port}\r\n\r\n".encode())
                _, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
        health: dict[str, Any] = json.loads(body)
    except (OSError, ValueError):
        return None
    return health
