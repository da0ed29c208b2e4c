"""A whole Shardboard installation on one machine, as child processes of this one."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from domain.errors import OperatorError
from infra.local import change_shards, pgbouncer, postgres_server
from infra.local.binaries import Binaries, find_binaries
from infra.local.child import Announce, Child, ChildSpec
from infra.local.cluster_file import ShardUrls
from infra.local.control_server import Command, serve_control
from infra.local.data_lock import hold_data
from infra.local.identity import REPLICA_COUNT_MAX, SHARD_COUNT_MAX, Identity, keep_identity, load_identity
from infra.local.leftovers import end_leftovers
from infra.local.ports import find_free_port, require_free
from infra.local.replica import find_replica_directories
from infra.local.run_as import find_run_as
from infra.local.running import HowToRun, Running
from infra.local.together import together

# A PgBouncer takes a descriptor a client and server connection; macOS gives a process 256 by default.
_OPEN_FILES = 8_192


class LocalCluster:
    """PostgreSQL shards, each with its PgBouncer and its replicas, one Valkey, and whatever children are added to them.

    `async with LocalCluster(data, shard_count=4).running() as cluster:` starts what is kept in `data` (or makes it)
    and stops all of it at the end, however the block ends. Shards are added and removed while it runs, by the methods
    here or, from another process, through `infra.local.control`.
    """

    def __init__(
        self,
        data: Path,
        shard_count: int = 4,
        *,
        replica_count: int | None = None,
        port: int | None = None,
        announce: Announce | None = None,
    ) -> None:
        """Nothing is touched yet.

        Args:
            data: the directory that keeps everything; made if it is not there.
            shard_count: how many shards a new `data` is made with. If it holds some already, this is the number it was
                made with or the number it holds now; all that it holds are started.
            replica_count: how many replicas each shard has from now on; as many as before when not given.
            port: where the API is going to listen; a free one when not given.
            announce: gets a line a step, and loud ones when a child dies.

        Raises:
            OperatorError: not a number of shards or replicas that can be started.
        """
        if not 1 <= shard_count <= SHARD_COUNT_MAX:
            raise OperatorError(f"SHARDS must be 1 .. {SHARD_COUNT_MAX}; got {shard_count}")
        if replica_count is not None and not 0 <= replica_count <= REPLICA_COUNT_MAX:
            raise OperatorError(f"REPLICAS must be 0 .. {REPLICA_COUNT_MAX}; got {replica_count}")
        self.data = data.absolute()
        self.announce: Announce = announce or (lambda line: None)
        self._shard_count = shard_count
        self._replica_count = replica_count
        self._wanted_port = port
        self._up: Running | None = None
        # Held by whoever changes what the cluster is made of: shards come and go one after the other.
        self._changing = asyncio.Lock()

    @property
    def shards(self) -> list[ShardUrls]:
        """The addresses of all shards, the oldest first."""
        return [shard.urls for shard in self._running.shards]

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
        """The keys and passwords, and what the cluster is made of now."""
        return self._running.identity

    @property
    def children(self) -> list[Child]:
        """All children, each after those that it uses; none when the cluster does not run."""
        return list(self._up.children) if self._up else []

    def child(self, role: str, number: int = 1) -> Child:
        """The child of a role, counted from 1: `child("postgres", 2)` is the server of the second shard."""
        return [child for child in self.children if child.spec.role == role][number - 1]

    def shard_child(self, role: str, name: str) -> Child:
        """The child of a shard: `shard_child("pgbouncer", "eu1")`.

        Raises:
            OperatorError: there is none.
        """
        found = [child for child in self.children if child.spec.shard == name and child.spec.role == role]
        if not found:
            raise OperatorError(f"there is no {role} of a shard {name}")
        return found[0]

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
            self._end_leftovers(identity)
            if self._wanted_port is not None:
                require_free(self._wanted_port)
            how = self._how_to_run(binaries)
            if self._replica_count is not None:
                identity = identity.with_replicas(self._replica_count)
            identity = keep_identity(self.data, identity)
            port = self._wanted_port or find_free_port(identity.ports)
            self._up = up = Running(self.data, identity, port, how, self.announce)
            _allow_open_files()
            try:
                await self._start(up)
                async with serve_control(self._commands(), self.announce) as up.control:
                    up.write_down()
                    yield self
            finally:
                await self._stop(up)

    async def add(self, specs: Sequence[ChildSpec]) -> None:
        """Start more children together, such as the API processes; they are stopped before all that runs already.

        Raises:
            ChildDied: one did not start.
        """
        await self._running.children.start(specs)

    async def add_shard(self, name: str) -> ShardUrls:
        """Start one more shard, empty, which belongs to `data` from then on. Returns its addresses.

        One of this name that is there already is left as it is: a call that was cut short can simply be made again.

        Raises:
            OperatorError: the cluster does not run, the name is not allowed, there are too many shards, or it does
                not start. Nothing of it is left then, as when this is cancelled.
        """
        async with self._changing:
            return await change_shards.add_shard(self._running, name)

    async def remove_shard(self, name: str) -> None:
        """Stop a shard and delete it with all it holds; the caller has seen to it that nobody needs that.

        Raises:
            OperatorError: the cluster does not run, there is no such shard, it is the last one, or its files cannot
                be deleted.
        """
        async with self._changing:
            await change_shards.remove_shard(self._running, name)

    async def restart(self, role: str) -> None:
        """Start the children of a role anew, one after the other, each ready before the next is stopped.

        Raises:
            OperatorError: the cluster does not run, or there are none; or one did not start again, which is left so
                until this is called again.
        """
        async with self._changing:
            children = [child for child in self._running.children if child.spec.role == role]
            if not children:
                raise OperatorError(f"there is no {role} process to restart")
            for child in children:
                self.announce(f"restarting {child.spec.name}")
                await child.stop()
                await child.start()

    @property
    def _running(self) -> Running:
        if self._up is None:
            raise OperatorError("the cluster is not running")
        return self._up

    def _how_to_run(self, binaries: Binaries) -> HowToRun:
        logs = self.data / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        programs = [binaries.postgres_bin / "postgres", binaries.pgbouncer, binaries.valkey_server]
        run_as = find_run_as(self.data, [*programs, postgres_server.COMMON_CONFIG, pgbouncer.COMMON_CONFIG])
        return HowToRun(binaries, run_as, logs)

    async def _start(self, up: Running) -> None:
        how = up.how
        await change_shards.delete_unfinished(up)
        self.announce(f"starting {len(up.shards)} PostgreSQL shards and Valkey")
        await together(shard.postgres.prepare(how.binaries, how.run_as) for shard in up.shards)
        await self.add([up.valkey.spec(*how), *(shard.postgres.spec(*how) for shard in up.shards)])
        await together(shard.postgres.ensure_database() for shard in up.shards)
        await self._start_replicas(up)
        self.announce(f"starting {len(up.shards)} PgBouncers")
        await self.add([shard.pgbouncer.spec(*how) for shard in up.shards])

    async def _start_replicas(self, up: Running) -> None:
        if up.identity.replica_count:
            self.announce(f"starting {len(up.shards) * up.identity.replica_count} replicas")
        await together(shard.prepare_replicas(up.how.binaries, up.how.run_as) for shard in up.shards)
        await self.add([replica.spec(*up.how) for shard in up.shards for replica in shard.replicas])

    async def _stop(self, up: Running) -> None:
        up.control = None
        # Nothing is added or removed from here on: what waits for its turn finds that the cluster does not run.
        async with self._changing:
            try:
                await up.children.stop_all()
                up.write_down()
            finally:
                self._up = None

    def _commands(self) -> dict[str, Command]:
        async def add(name: str) -> dict[str, str]:
            return asdict(await self.add_shard(name))

        return {"add_shard": add, "remove_shard": self.remove_shard, "restart": self.restart}

    def _end_leftovers(self, identity: Identity) -> None:
        homes = [self.data / name for name in identity.directories]
        homes += [directory for home in homes for directory in find_replica_directories(home)]
        pgdatas = [home / "postgres" for home in homes]
        for record in end_leftovers(self.data / "processes.json", pgdatas):
            self.announce(f"ended {record.name} (pid {record.pid}), left behind by a supervisor that was killed")


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
