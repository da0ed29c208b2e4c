"""The API processes of a local cluster: how they are started, and what they say of themselves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

from domain.resilience.limits import STOP_S_MAX
from infra.local.child import ChildSpec
from infra.local.cluster import LocalCluster
from infra.local.files import read_json
from infra.local.ports import HOST
from infra.local.run_as import as_self

_CODE = Path(__file__).parents[2]
_HEALTH_SECONDS_MAX = 2.0


def api_specs(cluster: LocalCluster, count: int) -> list[ChildSpec]:
    """How `count` API processes run, all of them listening on the cluster's port."""

    def ready_file(number: int) -> Path:
        return cluster.data / f"api{number}.ready"

    command = as_self().command([sys.executable, "-m", "app.cli.main", "serve"], signal.SIGTERM)
    return [
        ChildSpec(
            role="api",
            name=f"api{number}",
            command=command,
            environment=os.environ | api_environment(cluster) | {"SHARDBOARD_READY_FILE": str(ready_file(number))},
            options={"cwd": _CODE},
            log=cluster.data / "logs" / f"api{number}.log",
            ready=partial(_accepts, ready_file(number)),
            stop_signals=((signal.SIGTERM, STOP_S_MAX),),
        )
        for number in range(1, count + 1)
    ]


async def _accepts(ready_file: Path, pid: int) -> bool:
    """Whether this very process accepts connections: on the port, another of them may answer."""
    return bool(read_json(ready_file) == pid)


def api_environment(cluster: LocalCluster) -> dict[str, str]:
    """The settings of one API process as variables; of the shards only what serves needs."""
    return {
        "SHARDBOARD_SHARDS": json.dumps(
            [{"name": shard.name, "url": shard.url, "replicas": shard.replicas} for shard in cluster.shards]
        ),
        "SHARDBOARD_REDIS_URL": cluster.redis_url,
        "SHARDBOARD_HOST": HOST,
        "SHARDBOARD_PORT": str(cluster.port),
        "SHARDBOARD_SERVER_KEY": cluster.identity.server_key,
        "SHARDBOARD_ADMIN_KEY": cluster.identity.admin_key,
        "SHARDBOARD_TRY_OUT": "true",
        "SHARDBOARD_METRICS_DIR": str(cluster.data / "metrics"),
        **_token_variables(cluster),
        "PYTHONUNBUFFERED": "1",
    }


def _token_variables(cluster: LocalCluster) -> dict[str, str]:
    """Players' tokens that `shardboard keys token` makes, unless the environment names a login of its own."""
    if "SHARDBOARD_JWT_ALGORITHM" in os.environ:
        return {}
    return {"SHARDBOARD_JWT_ALGORITHM": "HS256", "SHARDBOARD_JWT_SECRET": cluster.identity.token_secret}


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
