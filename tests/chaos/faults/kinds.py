"""The kinds of faults: what each does to its part, and how it is undone."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg
import psutil
import pytest

from domain.errors import OperatorError
from infra.local.child import Child
from tests.chaos.faults.proxy import Weather
from tests.chaos.faults.service import SMALL, FaultyService
from tests.chaos.service import AWAY

# More than a PgBouncer hands out; all of Postgres's that are not a superuser's.
_GREEDY_CLIENTS = 60
_GREEDY_STEP = 10
# How far a wall clock is moved: within what ids may be ahead, far ahead, and so far behind that ids seem to come from
# the future.
CLOCKS_S = (-240.0, 120.0, 7_200.0, -3_600.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is done to a part for a time.

    pick: which of the ways, where a kind knows several.
    """

    kind: str
    part: str
    seconds: float
    pick: int = 0

    def __str__(self) -> str:
        return f"{self.kind} of {self.part} for {self.seconds:.1f} s"


Strike = Callable[[FaultyService, Fault], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault.

    role: what is hit, as in `Outage`.
    strike: the fault lasts as long as the block.
    is_harmless: as in `Outage`.
    is_dark: whether nobody can reach Redis meanwhile.
    is_at_once: whether it is over as soon as it was done, but for the mending.
    outage_kind: as in `Outage`.
    """

    role: str
    strike: Strike
    is_harmless: bool = False
    is_dark: bool = False
    is_at_once: bool = False
    outage_kind: str = "kill"


@asynccontextmanager
async def _killed(service: FaultyService, fault: Fault, *, role: str) -> AsyncIterator[None]:
    """SIGKILL; started again when the block ends."""
    child = service.part(role, fault.part)
    await child.stop(kill=True)
    try:
        yield
    finally:
        await _start_surely(child)


@asynccontextmanager
async def _stopped(service: FaultyService, fault: Fault, *, role: str) -> AsyncIterator[None]:
    """SIGSTOP to a part and all its children; SIGCONT when the block ends."""
    processes = service.processes(role, fault.part)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in reversed(processes):
            with suppress(psutil.NoSuchProcess):
                process.resume()


@asynccontextmanager
async def _backend_killed(service: FaultyService, fault: Fault) -> AsyncIterator[None]:
    """SIGKILL to one server process that works for PgBouncer: Postgres ends all the others and recovers."""
    backends = _backends(service, fault.part)
    random.Random(fault.pick).choice(backends).kill()
    yield


@asynccontextmanager
async def _backends_stopped(service: FaultyService, fault: Fault) -> AsyncIterator[None]:
    """SIGSTOP to half of the server processes, whatever locks they hold."""
    backends = _backends(service, fault.part)
    chosen = random.Random(fault.pick).sample(backends, -(-len(backends) // 2))
    for process in chosen:
        process.suspend()
    try:
        yield
    finally:
        for process in chosen:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def _backends(service: FaultyService, shard: str) -> list[psutil.Process]:
    _, *children = service.processes("postgres", shard)
    return [child for child in children if ": shardboard_service shardboard" in " ".join(child.cmdline())]


@asynccontextmanager
async def _under(service: FaultyService, fault: Fault, *, weather: Weather) -> AsyncIterator[None]:
    """Weather at one proxy; of Valkey at one API process, or all."""
    names = [fault.part]
    if fault.part == "valkey":
        apis = sorted(api.spec.name for api in service.apis)
        names = apis if fault.pick % 3 == 0 else [apis[fault.pick % len(apis)]]
    for name in names:
        await service.proxies[name].change(weather)
    try:
        yield
    finally:
        for name in names:
            await service.proxies[name].clear()


@asynccontextmanager
async def _flushed(service: FaultyService, fault: Fault) -> AsyncIterator[None]:
    async with service.redis() as redis:
        await redis.flushall()
    yield


@asynccontextmanager
async def _older(service: FaultyService, fault: Fault) -> AsyncIterator[None]:
    """Valkey killed and started from the append-only files that it had when the fault began."""
    files = service.cluster.data / "valkey" / "appendonlydir"
    kept = service.cluster.data / "older"
    shutil.rmtree(kept, ignore_errors=True)
    _copy(files, kept)
    yield
    child = service.part("valkey", "valkey")
    await child.stop(kill=True)
    shutil.rmtree(files)
    _copy(kept, files)
    await _start_surely(child)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target)
    for path in (source, *source.iterdir()):
        owner = path.stat()
        os.chown(target / path.relative_to(source), owner.st_uid, owner.st_gid)


@asynccontextmanager
async def _slots_taken(service: FaultyService, fault: Fault) -> AsyncIterator[None]:
    """Somebody else holds every server connection that PgBouncer may have."""
    greedy: list[asyncpg.Connection] = []

    async def take() -> None:
        connection = await asyncpg.connect(service.pgbouncer_url(fault.part), timeout=10, statement_cache_size=0)
        greedy.append(connection)
        with suppress(*AWAY, TimeoutError):
            await connection.execute("begin")

    taking: list[asyncio.Task[None]] = []
    try:
        for _ in range(_GREEDY_CLIENTS // _GREEDY_STEP):
            taking += [asyncio.create_task(take()) for _ in range(_GREEDY_STEP)]
            await asyncio.wait(taking, timeout=0.3)
        yield
    finally:
        for task in taking:
            task.cancel()
        await asyncio.gather(*taking, return_exceptions=True)
        for connection in greedy:
            connection.terminate()


@asynccontextmanager
async def _disk_full(service: FaultyService, fault: Fault) -> AsyncIterator[None]:
    """No byte is free; every other time the log needs a new file, too, which Postgres does not survive."""
    assert service.disk is not None
    service.disk.fill()
    try:
        async with _superuser(service, fault.part) as connection:
            with pytest.raises(asyncpg.DiskFullError):
                await connection.execute("create table chaos as select generate_series(1, 1000000)")
        if fault.pick % 2:
            with suppress(*AWAY, TimeoutError):
                await _switch_log(service, fault.part)
        yield
    finally:
        service.disk.free()


async def _switch_log(service: FaultyService, shard: str) -> None:
    """Use up the files of the write-ahead log that there are."""
    for _ in range(40):
        async with _superuser(service, shard) as connection:
            await connection.execute("select pg_logical_emit_message(false, 'chaos', 'x'); select pg_switch_wal()")


@asynccontextmanager
async def _superuser(service: FaultyService, shard: str) -> AsyncIterator[asyncpg.Connection]:
    identity = service.cluster.identity
    port = next(each.postgres for each in identity.shards if each.name == shard)
    connection = await asyncpg.connect(
        host="127.0.0.1", port=port, user="postgres", password=identity.superuser_password, database="shardboard",
        timeout=5,
    )  # fmt: skip
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def _clock_moved(service: FaultyService, fault: Fault) -> AsyncIterator[None]:
    service.move_clock(fault.part, CLOCKS_S[fault.pick % len(CLOCKS_S)])
    try:
        yield
    finally:
        with suppress(OperatorError):
            service.move_clock(fault.part, 0.0)


async def _start_surely(child: Child) -> None:
    """Start a part whose last life may still be going out."""
    while True:
        try:
            return await child.start()
        except OperatorError:
            await asyncio.sleep(0.2)


def _weather(role: str, *, is_harmless: bool = False, **what: float) -> Kind:
    return Kind(role, partial(_under, weather=Weather(**what)), is_harmless)  # type: ignore[arg-type]


KINDS: Mapping[str, Kind] = {
    "kill -9 of an API process": Kind("api", partial(_killed, role="api")),
    "STOP of an API process": Kind("api", partial(_stopped, role="api"), outage_kind="stop"),
    "a moved clock": Kind("clock", _clock_moved),
    "kill -9 of a postmaster": Kind("postgres", partial(_killed, role="postgres")),
    "kill -9 of a backend": Kind("postgres", _backend_killed, is_at_once=True),
    "STOP of a Postgres": Kind("postgres", partial(_stopped, role="postgres")),
    "STOP of backends": Kind("postgres", _backends_stopped),
    "kill -9 of a PgBouncer": Kind("pgbouncer", partial(_killed, role="pgbouncer")),
    "STOP of a PgBouncer": Kind("pgbouncer", partial(_stopped, role="pgbouncer")),
    "a full pool": Kind("pgbouncer", _slots_taken),
    "a full disk": Kind("postgres", _disk_full),
    "replies of a shard lost": _weather("pgbouncer", lost_share=0.5),
    "half-open connections to a shard": _weather("pgbouncer", silent=True, forgetful=True),
    "silence of a shard": _weather("pgbouncer", silent=True),
    "resets of a shard": _weather("pgbouncer", resets=True),
    "a shard refuses connections": _weather("pgbouncer", refuses=True),
    "latency of a shard": _weather("pgbouncer", latency_ms=40, jitter_ms=30, is_harmless=True),
    "sliced packets of a shard": _weather("pgbouncer", slice_bytes_max=7),
    "a slow line to a shard": _weather("pgbouncer", bytes_per_s=60_000),
    "kill -9 of Valkey": Kind("valkey", partial(_killed, role="valkey"), is_dark=True),
    "STOP of Valkey": Kind("valkey", partial(_stopped, role="valkey")),
    "FLUSHALL": Kind("valkey", _flushed, is_at_once=True),
    "an older Valkey": Kind("valkey", _older),
    "replies of Valkey lost": _weather("valkey", lost_share=0.3),
    "half-open connections to Valkey": _weather("valkey", silent=True, forgetful=True),
    "silence of Valkey": _weather("valkey", silent=True),
    "resets of Valkey": _weather("valkey", resets=True),
    "Valkey refuses connections": _weather("valkey", refuses=True),
    "latency of Valkey": _weather("valkey", latency_ms=40, jitter_ms=30, is_harmless=True),
    "sliced packets of Valkey": _weather("valkey", slice_bytes_max=7),
    "a slow line to Valkey": _weather("valkey", bytes_per_s=60_000),
}


def parts_of(kind: str, shards: Sequence[str], apis: Sequence[str]) -> Sequence[str]:
    """What a kind can hit."""
    if kind == "a full disk":
        return [SMALL]
    return {"valkey": ["valkey"], "api": apis, "clock": apis}.get(KINDS[kind].role, shards)
