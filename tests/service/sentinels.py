"""Valkeys that are masters, others that are their replicas, and three Sentinels that watch them."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import redis.exceptions
from redis.asyncio import Redis

from infra.local.binaries import find_binaries
from infra.local.child import Child, ChildSpec
from infra.local.ports import HOST, find_free_port
from tests.waiting import until

PASSWORD, SENTINEL_PASSWORD = "of-the-redis", "of-the-sentinels"


class Watched:
    """A master and its replica, which the Sentinels know by a name.

    Attributes:
        url: the address as the service is given it.
        servers: the Valkeys by their ports.
    """

    def __init__(self, name: str, servers: dict[int, Child], sentinels: Sequence[int]) -> None:
        hosts = ",".join(f"{HOST}:{port}" for port in sentinels)
        self.name = name
        self.url = f"redis+sentinel://:{PASSWORD}@{hosts}/{name}/0?sentinel_password={SENTINEL_PASSWORD}"
        self.servers = servers
        self._sentinels = sentinels

    async def master(self) -> int:
        """The port of the master, as the first Sentinel knows it."""
        async with Redis(host=HOST, port=self._sentinels[0], password=SENTINEL_PASSWORD) as sentinel:
            masters: Any = await sentinel.sentinel_masters()
        return int(masters[self.name]["port"])

    async def fail_over(self) -> None:
        """Let the Sentinels make the replica the master, while the old one lives, and become its replica."""
        async with Redis(host=HOST, port=self._sentinels[0], password=SENTINEL_PASSWORD) as sentinel:
            await sentinel.sentinel_failover(self.name)

    async def is_known(self) -> bool:
        """Whether every Sentinel knows the others and a replica that is well."""
        for port in self._sentinels:
            async with Redis(host=HOST, port=port, password=SENTINEL_PASSWORD) as sentinel:
                masters: Any = await sentinel.sentinel_masters()
                replicas = await sentinel.sentinel_slaves(self.name)
            others = masters[self.name]["num-other-sentinels"]
            if others != len(self._sentinels) - 1 or [each["is_sdown"] for each in replicas] != [False]:
                return False
        return True


@asynccontextmanager
async def running_sentinels(*names: str) -> AsyncIterator[list[Watched]]:
    """Three Sentinels that watch a master and its replica for each name; all are ready."""
    directory = Path(tempfile.mkdtemp(prefix="shardboard-"))
    ports: list[int] = []
    for _ in range(3 + 2 * len(names)):
        ports.append(find_free_port(set(ports)))
    sentinels, servers = ports[:3], ports[3:]
    pairs = dict(zip(names, zip(servers[::2], servers[1::2], strict=True), strict=True))
    login = f"requirepass {PASSWORD}\nmasterauth {PASSWORD}\nrepl-diskless-sync-delay 0\n"
    watch = f"requirepass {SENTINEL_PASSWORD}\nsentinel sentinel-pass {SENTINEL_PASSWORD}\n"
    texts: dict[int, str] = {}
    for name, (master, replica) in pairs.items():
        texts |= {master: login, replica: f"{login}replicaof {HOST} {master}\n"}
        watch += (
            f"sentinel monitor {name} {HOST} {master} 2\nsentinel auth-pass {name} {PASSWORD}\n"
            f"sentinel down-after-milliseconds {name} 500\nsentinel failover-timeout {name} 3000\n"
        )
    children = {port: valkey_child(directory, port, text) for port, text in texts.items()}
    watchers = [valkey_child(directory, port, watch, sentinel=True) for port in sentinels]
    worlds = [Watched(name, {port: children[port] for port in pair}, sentinels) for name, pair in pairs.items()]
    try:
        await asyncio.gather(*(child.start() for child in children.values()))
        for master, _ in pairs.values():
            await until(partial(_is_followed, master))
        # A Sentinel looks for replicas when it begins and every ten seconds: they are there when it does.
        await asyncio.gather(*(child.start() for child in watchers))
        for world in worlds:
            await until(world.is_known)
        yield worlds
    finally:
        await asyncio.gather(*(child.stop(kill=True) for child in (*watchers, *children.values())))
        shutil.rmtree(directory)


async def _is_followed(port: int) -> bool:
    async with Redis(host=HOST, port=port, password=PASSWORD) as server:
        told = await server.info("replication")
    first = told.get("slave0")
    return isinstance(first, dict) and first["state"] == "online"


def valkey_child(directory: Path, port: int, text: str, *, sentinel: bool = False) -> Child:
    """A Valkey, or a Sentinel, with a configuration; not started."""
    home = directory / str(port)
    home.mkdir()
    config = home / "valkey.conf"
    config.write_text(f"bind {HOST}\nport {port}\ndir {home}\n{text}")

    async def answers(_pid: int) -> bool:
        try:
            async with Redis(host=HOST, port=port, password=SENTINEL_PASSWORD if sentinel else PASSWORD) as server:
                return bool(await server.ping())
        except redis.exceptions.RedisError:
            return False

    return Child(
        ChildSpec(
            role="valkey",
            name=f"{'sentinel' if sentinel else 'valkey'} {port}",
            command=[str(find_binaries().valkey_server), str(config), *(["--sentinel"] if sentinel else [])],
            log=home / "log",
            ready=answers,
            stop_signals=((signal.SIGTERM, 3.0),),
        ),
        print,
        lambda: None,
    )
