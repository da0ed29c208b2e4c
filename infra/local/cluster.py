"""A whole Shardboard installation on one machine, as child processes of this one."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from domain.errors import OperatorError
from infra.local import pgbouncer, postgres
from infra.local.binaries import Binaries, find_binaries
from infra.local.child import Announce, Child, ChildSpec
from infra.local.cluster_file import ShardUrls, write_cluster_file
from infra.local.data_lock import hold_data
from infra.local.identity import Identity, keep_identity, load_identity
from infra.local.leftovers import end_leftovers
from infra.local.pgbouncer import PgBouncer
from infra.local.ports import find_free_port, require_free
from infra.local.postgres import PostgresShard
from infra.local.processes import save_records
from infra.local.run_as import find_run_as
from infra.local.together import together
from infra.local.valkey import Valkey

SHARD_COUNT_MAX = 64
# A PgBouncer takes a descriptor a client and server connection; macOS gives a process 256 by default.
_OPEN_FILES = 8_192


class LocalCluster:
    """N PostgreSQL shards, each with its PgBouncer, one Valkey, and whatever children are added to them.

    `async with LocalCluster(data, shard_count=4).running() as cluster:` starts what is kept in `data` (or makes it)
    and stops all of it at the end, however the block ends.
    """

    def __init__(
        self, data: Path, shard_count: int = 4, *, port: int | None = None, announce: Announce | None = None
    ) -> None:
        """Nothing is touched yet.

        Args:
            data: the directory that keeps everything; made if it is not there.
            shard_count: how many shards; must be what `data` holds already, if it holds any.
            port: where the API is going to listen; a free one when not given.
            announce: gets a line a step, and loud ones when a child dies.

        Raises:
            OperatorError: not a number of shards that can be started.
        """
        if not 1 <= shard_count <= SHARD_COUNT_MAX:
            raise OperatorError(f"SHARDS must be 1 .. {SHARD_COUNT_MAX}; got {shard_count}")
        self.data = data.absolute()
        self.announce: Announce = announce or (lambda line: None)
        self._shard_count = shard_count
        self._wanted_port = port
        self._groups: list[list[Child]] = []
        self._up: _Up | None = None

    @property
    def shards(self) -> list[ShardUrls]:
        """The addresses of all shards, shard1 first."""
        return self._running.shards

    @property
    def redis_url(self) -> str:
        """The address of Valkey."""
        return self._running.valkey.url

    @property
    def port(self) -> int:
        """Where the API listens."""
        return self._running.port

    @property
    def identity(self) -> Identity:
        """The keys and passwords."""
        return self._running.identity

    @property
    def children(self) -> list[Child]:
        """All children, in the order they were started."""
        return [child for group in self._groups for child in group]

    def child(self, role: str, number: int = 1) -> Child:
        """The child of a role, counted from 1: `child("postgres", 2)` is the server of shard2."""
        return [child for child in self.children if child.spec.role == role][number - 1]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[LocalCluster]:
        """Start PostgreSQL, PgBouncer and Valkey; stop them and all added children at the end.

        Raises:
            OperatorError: the port is taken, `data` is in use or holds another number of shards, a program is
                missing, or a server does not start. Nothing is left running.
        """
        with hold_data(self.data):
            binaries = find_binaries()
            identity = load_identity(self.data, self._shard_count)
            self._end_leftovers()
            if self._wanted_port is not None:
                require_free(self._wanted_port)
            identity = keep_identity(self.data, identity)
            self._up = _Up(self.data, identity, self._wanted_port or find_free_port(identity.ports))
            _allow_open_files()
            try:
                await self._start(self._up, binaries)
                yield self
            finally:
                await self._stop()
                self._up = None

    async def add(self, specs: Sequence[ChildSpec]) -> None:
        """Start more children together, such as the API processes; they are stopped before all that runs already.

        Raises:
            ChildDied: one did not start.
        """
        group = [Child(spec, self.announce, self._write_down) for spec in specs]
        self._groups.append(group)
        await together(child.start() for child in group)

    @property
    def _running(self) -> _Up:
        if self._up is None:
            raise OperatorError("the cluster is not running")
        return self._up

    async def _start(self, up: _Up, binaries: Binaries) -> None:
        logs = self.data / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        programs = [binaries.postgres_bin / "postgres", binaries.pgbouncer, binaries.valkey_server]
        run_as = find_run_as(self.data, [*programs, postgres.COMMON_CONFIG, pgbouncer.COMMON_CONFIG])
        self.announce(f"starting {self._shard_count} PostgreSQL shards and Valkey")
        await together(shard.prepare(binaries, run_as) for shard in up.postgres)
        await self.add(
            [up.valkey.spec(binaries, run_as, logs), *(shard.spec(binaries, run_as, logs) for shard in up.postgres)]
        )
        await together(shard.ensure_database() for shard in up.postgres)
        self.announce(f"starting {self._shard_count} PgBouncers")
        await self.add([bouncer.spec(binaries, run_as, logs) for bouncer in up.pgbouncers])

    async def _stop(self) -> None:
        # What was started last uses what was started before it.
        while self._groups:
            await together(child.stop() for child in self._groups[-1])
            self._groups.pop()
        self._write_down()

    def _end_leftovers(self) -> None:
        pgdatas = sorted(self.data.glob("shard*/postgres"))
        for record in end_leftovers(self.data / "processes.json", pgdatas):
            self.announce(f"ended {record.name} (pid {record.pid}), left behind by a supervisor that was killed")

    def _write_down(self) -> None:
        """Keep `cluster.json`, and what the next supervisor must know, true."""
        up = self._running
        records = [child.record for child in self.children if child.record is not None]
        save_records(self.data / "processes.json", records)
        write_cluster_file(self.data / "cluster.json", up.identity, up.port, up.valkey.url, up.shards, running=records)


class _Up:
    """What is known of a cluster only while it runs."""

    def __init__(self, data: Path, identity: Identity, port: int) -> None:
        self.identity = identity
        self.port = port
        self.valkey = Valkey(data / "valkey", identity)
        self.postgres = [
            PostgresShard(f"shard{number}", data / f"shard{number}", ports, identity)
            for number, ports in enumerate(identity.shards, start=1)
        ]
        self.pgbouncers = [
            PgBouncer(shard, ports, identity) for shard, ports in zip(self.postgres, identity.shards, strict=True)
        ]
        self.shards = [
            ShardUrls(shard.name, bouncer.url, shard.direct_url)
            for shard, bouncer in zip(self.postgres, self.pgbouncers, strict=True)
        ]


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
