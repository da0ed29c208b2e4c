"""One shard of a local cluster: a PostgreSQL and the PgBouncer in front of it."""

from __future__ import annotations

from pathlib import Path

from infra.local.cluster_file import ShardUrls
from infra.local.identity import Identity, ShardPorts
from infra.local.pgbouncer import PgBouncer
from infra.local.postgres import PostgresShard


class LocalShard:
    """What belongs to one shard; its files are below `home`, which is `DATA/<name>`."""

    def __init__(self, data: Path, ports: ShardPorts, identity: Identity) -> None:
        """Nothing is touched yet."""
        self.ports = ports
        self.name = ports.name
        self.postgres = PostgresShard(ports.name, data / ports.name, ports, identity)
        self.pgbouncer = PgBouncer(self.postgres, ports, identity)
        self.urls = ShardUrls(ports.name, self.pgbouncer.url, self.postgres.direct_url)
