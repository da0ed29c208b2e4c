"""Further PgBouncers before a shard of a test's cluster."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import psutil
from sqlalchemy import make_url

from infra.local.binaries import find_binaries
from infra.local.child import Child, ChildSpec
from infra.local.cluster import LocalCluster
from infra.local.files import write_private
from infra.local.pgbouncer import COMMON_CONFIG
from infra.local.ports import HOST, find_free_port
from infra.local.run_as import find_run_as


class Poolers:
    """PgBouncers before one shard, each with a port of its own.

    Attributes:
        url: the address that names all of them.
    """

    def __init__(self, url: str, children: list[Child], ports: list[int]) -> None:
        self.url = url
        self.children = children
        self._ports = ports

    def clients(self) -> list[int]:
        """How many connections are open through each."""
        counts = []
        for child, port in zip(self.children, self._ports, strict=True):
            held: list[psutil._common.pconn] = []
            with suppress(psutil.NoSuchProcess):
                held = psutil.Process(child.record.pid).net_connections("tcp") if child.record else []
            counts.append(sum(each.laddr.port == port and each.status == "ESTABLISHED" for each in held))
        return counts


@asynccontextmanager
async def running_poolers(cluster: LocalCluster, count: int = 2) -> AsyncIterator[Poolers]:
    """So many PgBouncers before the first shard, beside that of the cluster."""
    shard = cluster.shards[0]
    served, direct = make_url(shard.url), make_url(shard.direct_url)
    program = find_binaries().pgbouncer
    home = cluster.data / "poolers"
    home.mkdir(exist_ok=True)
    run_as = find_run_as(cluster.data, [program, COMMON_CONFIG])
    run_as.own(home)
    children: list[Child] = []
    ports: list[int] = []
    for number in range(count):
        port = find_free_port({*ports, *cluster.identity.ports})
        users, config = home / f"users{number}.txt", home / f"pgbouncer{number}.ini"
        text = (
            f"[databases]\n{served.database} = host={HOST} port={direct.port} dbname={direct.database}\n"
            f"%include {COMMON_CONFIG}\nlisten_addr = {HOST}\nlisten_port = {port}\nauth_file = {users}\n"
        )
        for path, content in ((users, f'"{served.username}" "{served.password}"\n'), (config, text)):
            write_private(path, content)
            run_as.own(path)

        async def answers(_pid: int, port: int = port) -> bool:
            try:
                connection = await asyncpg.connect(
                    served.set(port=port).render_as_string(hide_password=False), timeout=1, statement_cache_size=0
                )
            except (OSError, TimeoutError, asyncpg.PostgresError):
                return False
            connection.terminate()
            return True

        spec = ChildSpec(
            role="pgbouncer",
            name=f"pooler{number}",
            command=run_as.command([program, config], signal.SIGKILL),
            options=run_as.subprocess_options(),
            log=cluster.data / "logs" / f"pooler{number}.log",
            ready=answers,
            stop_signals=((signal.SIGQUIT, 1.0),),
        )
        children.append(Child(spec, print, lambda: None))
        ports.append(port)
    hosts = ",".join(f"{HOST}:{port}" for port in ports)
    try:
        for child in children:
            await child.start()
        yield Poolers(f"postgresql://{served.username}:{served.password}@{hosts}/{served.database}", children, ports)
    finally:
        for child in children:
            await child.stop()
