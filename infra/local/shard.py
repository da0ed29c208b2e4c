"""One shard of a local cluster: a PostgreSQL, the PgBouncer in front of it, and its replicas."""

from __future__ import annotations

from pathlib import Path

from infra.local.binaries import Binaries
from infra.local.cluster_file import ShardUrls
from infra.local.files import delete_directory
from infra.local.identity import Identity, ShardPorts
from infra.local.pgbouncer import PgBouncer
from infra.local.postgres import PostgresShard
from infra.local.replica import Replica, find_replica_directories
from infra.local.run_as import RunAs


class LocalShard:
    """What belongs to one shard; its files are below `home`, which is `DATA/<name>`."""

    def __init__(self, data: Path, ports: ShardPorts, identity: Identity) -> None:
        """Nothing is touched yet."""
        self.ports = ports
        self.name = ports.name
        self.postgres = PostgresShard(ports.name, data / ports.name, ports, identity)
        self.pgbouncer = PgBouncer(self.postgres, ports, identity)
        self.replicas = [
            Replica(self.postgres, number, port, identity) for number, port in enumerate(ports.replicas, start=1)
        ]
        self.urls = ShardUrls(
            ports.name,
            self.pgbouncer.url,
            self.postgres.direct_url,
            tuple(replica.url for replica in self.replicas),
        )

    async def prepare_replicas(self, binaries: Binaries, run_as: RunAs) -> None:
        """Have the files of each replica ready, and none of those that there are no longer; the shard itself runs.

        Raises:
            OperatorError: a copy failed, or files of one that is gone cannot be deleted.
        """
        made = await self.postgres.keep_slots([replica.slot for replica in self.replicas])
        homes = {replica.home for replica in self.replicas}
        for directory in find_replica_directories(self.postgres.home):
            if directory not in homes:
                await delete_directory(directory)
        for replica in self.replicas:
            await replica.prepare(binaries, run_as, anew=replica.slot in made)
