"""`DATA/cluster.json`: what a running cluster tells the programs of its owner."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local.files import write_private_json
from infra.local.identity import Identity
from infra.local.ports import HOST
from infra.local.processes import ProcessRecord


@dataclass(frozen=True, slots=True)
class ShardUrls:
    """Where a shard is reached: through its PgBouncer, and directly; and where its replicas are."""

    name: str
    url: str
    direct_url: str
    replicas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ControlAddress:
    """Where the supervisor takes requests, and what a request must know."""

    port: int
    token: str


def write_cluster_file(
    path: Path,
    identity: Identity,
    port: int,
    redis_url: str,
    shards: Sequence[ShardUrls],
    running: Sequence[ProcessRecord],
    control: ControlAddress | None,
) -> None:
    """Replace the file in one step.

    The addresses stay when nothing runs; `processes` is empty and `control` null then.
    """
    url = f"http://{HOST}:{port}"
    processes = [{"role": record.role, "name": record.name, "pid": record.pid} for record in running]
    if processes:
        processes.append({"role": "supervisor", "name": "supervisor", "pid": os.getpid()})
    write_private_json(
        path,
        {
            "url": url,
            "graphql_url": f"{url}/graphql",
            "server_key": identity.server_key,
            "admin_key": identity.admin_key,
            "token_secret": identity.token_secret,
            "redis_url": redis_url,
            "shards": [asdict(shard) for shard in shards],
            "control": asdict(control) if control else None,
            "processes": processes,
        },
    )
