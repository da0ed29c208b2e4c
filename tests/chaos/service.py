"""The service of a fault run: a local cluster, its API processes, and how their parts are killed."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import psutil

from db.directory import DirectoryEntry
from domain.errors import OperatorError
from infra.local.child import Child
from infra.local.cluster import LocalCluster
from service.prepare import migrate_shards
from tests.apis import running_apis, url_of
from tests.chaos.clock import now
from tests.chaos.history import History, Outage

SHARDS = 4
API_NAMES = ("1", "2")
# Longer than any part takes to come back, however busy the machine is.
_HEAL_S_MAX = 60.0

# What a direct connection to a Postgres raises that goes away in the middle.
AWAY = (OSError, EOFError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

Say = Callable[[str], None]


class Service:
    """What runs. Parts that are killed are started again by their supervisors, as in production.

    Args:
        apis: the API processes; they change from round to round.
    """

    def __init__(self, cluster: LocalCluster, say: Say) -> None:
        self.cluster = cluster
        self.say = say
        self.apis: list[Child] = []
        self.history = History()
        # Every name that a shard ever had: none is given twice.
        self.names_used: set[str] = set()
        self._healing: set[asyncio.Task[None]] = set()

    @property
    def shard_names(self) -> list[str]:
        """Every shard whose servers run, the oldest first."""
        return [shard.name for shard in self.cluster.shards]

    @property
    def direct_urls(self) -> Mapping[str, str]:
        """Where each shard is reached past its PgBouncer."""
        return {shard.name: shard.direct_url for shard in self.cluster.shards}

    @property
    def key(self) -> str:
        """The key that game servers use."""
        return self.cluster.identity.server_key

    @property
    def api_urls(self) -> Mapping[str, str]:
        """Where each API process is reached."""
        return {child.spec.name: url_of(child) for child in self.apis}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Run API processes that know of the shards that there are now."""
        async with running_apis(self.cluster, API_NAMES, SHARDBOARD_RELAY_INTERVAL_MS="200") as self.apis:
            try:
                yield
            finally:
                await self.healed()

    def kill(self, role: str, name: str, away_s: float = 0.0) -> bool:
        """Send SIGKILL to a part; False where there is none that runs.

        Args:
            name: the shard's, or the API process's.
            away_s: for how long nobody starts it again; 0: its supervisor does at once.
        """
        child = self._find(role, name)
        if child is None or child.record is None:
            return False
        outage = Outage(role, name, now())
        self.history.outages.append(outage)
        task = asyncio.create_task(self._heal(child, outage, away_s))
        self._healing.add(task)
        return True

    def stall(self, shard: str, seconds: float) -> bool:
        """Let a shard's changes stand still on their way to subscribers; False where there are none.

        Nothing is away then, and nothing that a client asks for is excused by it.
        """
        child = self._find("postgres", shard)
        if child is None or child.record is None:
            return False
        with suppress(psutil.NoSuchProcess):
            senders = [each for each in psutil.Process(child.record.pid).children() if _is_sender(each)]
            if senders:
                self._healing.add(asyncio.create_task(_stall(senders, seconds)))
                return True
        return False

    async def healed(self) -> None:
        """Wait until every part that was killed is back."""
        async with asyncio.timeout(_HEAL_S_MAX):
            while self._healing:
                task = self._healing.pop()
                await task
            for child in (*self.cluster.children, *self.apis):
                await child.until_ready()

    def processes_of(self, shard: str) -> list[psutil.Process]:
        """The processes of a shard, its servers' own children too."""
        children = [child for child in self.cluster.children if child.spec.shard == shard]
        mains = [psutil.Process(child.record.pid) for child in children if child.record]
        return [process for main in mains for process in (main, *main.children(recursive=True))]

    def _find(self, role: str, name: str) -> Child | None:
        if role == "api":
            return next((child for child in self.apis if child.spec.name == name), None)
        if role == "valkey":
            return self.cluster.child("valkey")
        try:
            return self.cluster.shard_child(role, name)
        except OperatorError:
            return None

    async def _heal(self, child: Child, outage: Outage, away_s: float) -> None:
        if away_s:
            await child.stop(kill=True)
            await asyncio.sleep(away_s)
            await _start_surely(child)
        else:
            child.crash()
            await child.until_ready()
        outage.ended_at = now()
        self.say(f"  {outage.role} {outage.name} is back after {outage.ended_at - outage.began_at:.1f} s")


def _is_sender(process: psutil.Process) -> bool:
    return any("walsender" in word for word in process.cmdline())


async def _stall(processes: list[psutil.Process], seconds: float) -> None:
    for process in processes:
        process.suspend()
    try:
        await asyncio.sleep(seconds)
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


async def _start_surely(child: Child) -> None:
    """Start a part whose last life may still be going out: a postmaster's own children see its end a moment later."""
    while True:
        try:
            return await child.start()
        except OperatorError:
            await asyncio.sleep(0.2)


@asynccontextmanager
async def running_service(say: Say) -> AsyncIterator[Service]:
    """A service of its own in a directory of its own, without API processes yet; all of it is gone in the end."""
    directory = Path(tempfile.mkdtemp(prefix="shardboard-"))
    try:
        async with LocalCluster(directory / "data", SHARDS, announce=lambda line: None).running() as cluster:
            entries = [DirectoryEntry(shard.name, shard.url, shard.direct_url) for shard in cluster.shards]
            for shard in await migrate_shards(entries, back_days=30, months_ahead=3):
                if shard.error is not None:
                    raise shard.error
            yield Service(cluster, say)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
