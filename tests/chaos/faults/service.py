"""The service of the fault run: whatever its API processes say to a PgBouncer or to Valkey goes through a proxy."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import asyncpg
import psutil
from redis.asyncio import Redis

from db.directory import DirectoryEntry
from infra.local.child import Child
from infra.local.cluster import LocalCluster
from infra.local.ports import HOST, find_free_port
from ranking.keys import BoardKeys
from service.prepare import migrate_shards
from sharding.placement import BUCKET_COUNT, bucket_of
from tests.apis import serve_spec
from tests.chaos.faults.api import CLOCK, TASKS
from tests.chaos.faults.disk import SmallDisk
from tests.chaos.faults.proxy import Proxy
from tests.chaos.history import Failure
from tests.chaos.http import Connection
from tests.chaos.service import AWAY, Say, Service
from tests.waiting import until

SHARDS = 3
API_NAMES = ("1", "2")
# The shard whose disk can be filled.
SMALL = "shard2"
# How long a part may take until it works again after all was undone that was done to it.
HEAL_S_MAX = 30.0
_CONNECT_S_MAX = 2.0
_HISTORY = "query ($userId: ID!) { history(userId: $userId, first: 1) { totalCount } }"


class FaultyService(Service):
    """What runs, and the proxies in between.

    proxies: by shard name, in front of its PgBouncer, and by API process, in front of Valkey.
    disk: the small disk of one shard; None where this machine allows none.
    """

    def __init__(self, cluster: LocalCluster, say: Say, proxies: Mapping[str, Proxy], disk: SmallDisk | None) -> None:
        super().__init__(cluster, say)
        self.proxies = proxies
        self.disk = disk
        self._control = cluster.data / "control"
        # A player of each shard.
        self._witnesses: list[int] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Run API processes that reach everything through proxies."""
        self._control.mkdir(exist_ok=True)
        taken = {self.cluster.port, *(proxy.port for proxy in self.proxies.values())}
        for name in API_NAMES:
            port = find_free_port(taken)
            taken.add(port)
            self.apis.append(self._api(f"api-{name}", port))
        try:
            await asyncio.gather(*(api.start() for api in self.apis))
            for api in self.apis:
                await self.until_works("api", api.spec.name)
            yield
        finally:
            for api in self.apis:
                await api.stop()

    async def task_count(self, api: Child) -> int:
        """How many tasks an API process has now."""
        told = self._control / f"{api.spec.name}{TASKS}"
        told.unlink(missing_ok=True)
        os.kill(api.pid, signal.SIGUSR1)
        await until(told.exists)
        return int(told.read_text())

    def move_clock(self, name: str, ahead_s: float) -> None:
        """Let the wall clock of an API process go ahead by so much, or behind."""
        (self._control / f"{name}{CLOCK}").write_text(str(ahead_s))
        os.kill(self.api(name).pid, signal.SIGUSR2)

    def api(self, name: str) -> Child:
        """An API process."""
        return next(api for api in self.apis if api.spec.name == name)

    def processes(self, role: str, name: str) -> list[psutil.Process]:
        """The process of a part and all its children."""
        child = self._find(role, name)
        if child is None or child.record is None:
            return []
        main = psutil.Process(child.record.pid)
        return [main, *main.children(recursive=True)]

    def part(self, role: str, name: str) -> Child:
        """The part itself."""
        child = self._find(role, name)
        assert child is not None
        return child

    def redis(self) -> Redis:
        """Valkey, past the proxies."""
        return Redis.from_url(self.cluster.redis_url, socket_timeout=2, socket_connect_timeout=2)

    def pgbouncer_url(self, shard: str) -> str:
        """Where a shard's PgBouncer is reached past the proxy."""
        return next(each.url for each in self.cluster.shards if each.name == shard)

    async def until_works(self, role: str, name: str) -> None:
        """Wait until a part does its work.

        Raises:
            TimeoutError: it does not.
        """
        if role == "valkey":
            await until(self._ranks_are_there, HEAL_S_MAX)
        elif role in ("api", "clock"):
            await until(lambda: self._api_answers(name), HEAL_S_MAX)
        else:
            await until(lambda: self._shard_writes(name), HEAL_S_MAX)

    async def _shard_writes(self, name: str) -> bool:
        try:
            async with asyncio.timeout(_CONNECT_S_MAX):
                connection = await asyncpg.connect(self.pgbouncer_url(name), statement_cache_size=0)
                try:
                    # A transaction that has to reach the disk.
                    return bool(await connection.fetchval("select pg_current_xact_id() is not null"))
                finally:
                    connection.terminate()
        except (*AWAY, TimeoutError):
            return False

    async def _ranks_are_there(self) -> bool:
        async with self.redis() as redis:
            try:
                return bool(await redis.exists(BoardKeys("global").ready))
            except Exception:
                return False

    async def _api_answers(self, name: str) -> bool:
        """Whether a process reaches every shard: one that has just started knows no shard that was busy then."""
        connection = Connection(self.api_urls[name], self.key)
        try:
            answers = [await connection.ask(_HISTORY, {"userId": str(user)}) for user in self._witnesses]
        finally:
            connection.close()
        return not any(isinstance(answer, Failure) for answer in answers)

    async def read_owners(self) -> None:
        """Let the history know who owns which bucket; nothing moves in this run."""
        for name, url in self.direct_urls.items():
            connection = await asyncpg.connect(url)
            for (bucket,) in await connection.fetch("select bucket from bucket_owner"):
                self.history.owners[bucket] = [(float("-inf"), name)]
            await connection.close()
        assert len(self.history.owners) == BUCKET_COUNT
        by_shard = {owner: user for user in range(100) for _, owner in self.history.owners[bucket_of(user)]}
        self._witnesses = list(by_shard.values())
        assert len(self._witnesses) == SHARDS

    def _api(self, name: str, port: int) -> Child:
        shards = [
            {"name": each.name, "url": _through(self.proxies[each.name], each.url), "direct_url": each.direct_url}
            for each in self.cluster.shards
        ]
        spec = serve_spec(
            self.cluster,
            name,
            port,
            SHARDBOARD_SHARDS=json.dumps(shards),
            SHARDBOARD_REDIS_URL=_through(self.proxies[name], self.cluster.redis_url),
            SHARDBOARD_RELAY_INTERVAL_MS="200",
        )
        command = [sys.executable, "-m", "tests.chaos.faults.api", str(self._control / name)]
        return Child(replace(spec, command=command), self.say, lambda: None)


@asynccontextmanager
async def faulty_service(say: Say, random: Random, logs: Path | None = None) -> AsyncIterator[FaultyService]:
    """A service of its own in a directory of its own, without API processes yet; all of it is gone in the end.

    Args:
        logs: where the logs of all parts are kept, if anywhere.
    """
    directory = Path(tempfile.mkdtemp(prefix="shardboard-"))
    data = directory / "data"
    data.mkdir()
    try:
        async with AsyncExitStack() as stack:
            disk = stack.enter_context(SmallDisk.mounted(data / SMALL))
            # A directory with something in it is a cluster's only if this is there.
            (data / "lock").touch()
            cluster = await stack.enter_async_context(LocalCluster(data, SHARDS, announce=lambda line: None).running())
            proxies: dict[str, Proxy] = {}
            for shard in cluster.shards:
                proxies[shard.name] = await _started(stack, shard.url, random, _is_commit)
            for name in API_NAMES:
                proxies[f"api-{name}"] = await _started(stack, cluster.redis_url, random, lambda data: True)
            entries = [
                DirectoryEntry(each.name, _through(proxies[each.name], each.url), each.direct_url)
                for each in cluster.shards
            ]
            for prepared in await migrate_shards(entries, back_days=30, months_ahead=3):
                if prepared.error is not None:
                    raise prepared.error
            service = FaultyService(cluster, say, proxies, disk)
            await service.read_owners()
            yield service
    finally:
        if logs is not None:
            shutil.copytree(data / "logs", logs, dirs_exist_ok=True)
        shutil.rmtree(directory, ignore_errors=True)


async def _started(stack: AsyncExitStack, url: str, random: Random, is_answer: object) -> Proxy:
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    proxy = Proxy((address.hostname, address.port), Random(random.random()), is_answer)  # type: ignore[arg-type]
    await proxy.start()
    stack.push_async_callback(proxy.close)
    return proxy


def _through(proxy: Proxy, url: str) -> str:
    address = urlsplit(url)
    return address._replace(netloc=f"{address.netloc.rpartition('@')[0]}@{HOST}:{proxy.port}").geturl()


def _is_commit(answer: bytes) -> bool:
    """Whether an answer of Postgres ends with: a statement was carried out, and no transaction is open any more."""
    return b"SELECT " in answer and answer.endswith(b"Z\0\0\0\x05I")
