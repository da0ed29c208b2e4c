"""A cluster while it runs: its parts, and what is written down about them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from infra.local.binaries import Binaries
from infra.local.child import Announce
from infra.local.children import Children
from infra.local.cluster_file import ControlAddress, write_cluster_file
from infra.local.identity import Identity, save_identity
from infra.local.processes import save_records
from infra.local.run_as import RunAs
from infra.local.shard import LocalShard
from infra.local.valkey import Valkey


class HowToRun(NamedTuple):
    """What every server of a cluster is started with."""

    binaries: Binaries
    run_as: RunAs
    logs: Path


class Running:
    """What is known of a cluster only while it runs."""

    def __init__(self, data: Path, identity: Identity, port: int, how: HowToRun, announce: Announce) -> None:
        """Nothing is started yet.

        Args:
            identity: what is kept in `data`, with all ports chosen.
            port: where the API listens.
        """
        self.data = data
        self.identity = identity
        self.port = port
        self.how = how
        self.announce = announce
        self.control: ControlAddress | None = None
        self.valkey = Valkey(data / "valkey", identity)
        self.shards = [LocalShard(data, ports, identity) for ports in identity.shards]
        self.children = Children(announce, self.write_down)

    def find_shard(self, name: str) -> LocalShard | None:
        """The shard of this name, None when there is none."""
        return next((shard for shard in self.shards if shard.name == name), None)

    def keep(self, identity: Identity) -> None:
        """Let `identity` be the cluster's from now on, also after a restart."""
        save_identity(self.data, identity)
        self.identity = identity

    def write_down(self) -> None:
        """Keep `cluster.json`, and what the next supervisor must know, true."""
        records = self.children.records
        save_records(self.data / "processes.json", records)
        write_cluster_file(
            self.data / "cluster.json",
            self.identity,
            self.port,
            self.valkey.url,
            [shard.urls for shard in self.shards],
            running=records,
            control=self.control,
        )
