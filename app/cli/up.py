"""`shardboard up`: the whole service on this machine, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import click

from app.cli.api_children import api_specs, read_health
from app.cli.migrate import migrate_addresses
from app.settings import Settings, ShardAddress
from app.web import is_built
from db.explain import explain
from domain.errors import OperatorError
from infra.local.cluster import LocalCluster

_POLL_SECONDS = 0.05
_HEALTHY_SECONDS_MAX = 30.0


@click.command()
@click.option("--port", envvar="PORT", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option(
    "--shards", envvar="SHARDS", type=int, default=4, show_default=True, help="How many a new DATA is made with."
)
@click.option(
    "--replicas",
    envvar="REPLICAS",
    type=int,
    help="Read replicas of each shard; as many as before when not given, none at first.",
)
@click.option(
    "--data",
    envvar="DATA",
    type=click.Path(file_okay=False, path_type=Path),
    default=".data",
    show_default=True,
    help="Keeps everything between two starts.",
)
@click.option("--api-processes", envvar="API_PROCESSES", type=click.IntRange(1), help="One a core when not given.")
def up(port: int, shards: int, replicas: int | None, data: Path, api_processes: int | None) -> None:
    """Start shards, PgBouncers, Valkey and the API on this machine; Ctrl-C stops all of them."""
    cluster = LocalCluster(data, shards, replica_count=replicas, port=port, announce=_say)
    asyncio.run(_run(cluster, api_processes or _core_count()))


async def _run(cluster: LocalCluster, api_count: int) -> None:
    serving = asyncio.create_task(_serve_until_cancelled(cluster, api_count))
    loop = asyncio.get_running_loop()
    stopping = False

    def stop() -> None:
        nonlocal stopping
        # Once: whoever presses Ctrl-C again out of impatience must not cut an orderly stop short.
        if not stopping:
            stopping = True
            cluster.announce("stopping")
            serving.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        await serving
    except asyncio.CancelledError:
        cluster.announce("stopped")


async def _serve_until_cancelled(cluster: LocalCluster, api_count: int) -> None:
    async with cluster.running():
        cluster.announce("migrating the shards")
        await _migrate(cluster)
        cluster.announce(f"starting {api_count} API processes")
        await cluster.add(api_specs(cluster, api_count))
        await _until_healthy(cluster.port)
        _greet(cluster)
        await asyncio.Event().wait()


async def _migrate(cluster: LocalCluster) -> None:
    settings = Settings(shards=[ShardAddress(**asdict(shard)) for shard in cluster.shards])
    # Of an older version nothing is left: whoever serves this DATA is a child of ours, and none was started yet.
    for shard in await migrate_addresses(settings, contract=True, alone=True):
        if shard.error is not None:
            raise OperatorError(f"{shard.shard} was not migrated: {explain(shard.error)}")


async def _until_healthy(port: int) -> None:
    health = None
    try:
        async with asyncio.timeout(_HEALTHY_SECONDS_MAX):
            while True:
                health = await read_health(port)
                if health is not None and health.get("status") == "healthy":
                    return
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise OperatorError(f"the API was not healthy after {_HEALTHY_SECONDS_MAX:.0f} s; it says {health}") from None


def _greet(cluster: LocalCluster) -> None:
    site = f"http://127.0.0.1:{cluster.port}"
    url = f"{site}/graphql"
    mutation = 'mutation { submitScore(input: {userId: "42", username: "Ada", score: 1200})'
    query = f"{mutation} {{ standing {{ rank totalScore }} }} }}".replace('"', r"\"")
    cluster.announce(
        f"""
Shardboard is up. Ctrl-C stops it.

{describe_addresses(site, built=is_built())}
  Keys, addresses and processes: {cluster.data / "cluster.json"}

Submit a score:

  curl -s {url} -H 'content-type: application/json' \\
    -H 'authorization: Bearer {cluster.identity.server_key}' \\
    -d '{{"query": "{query}"}}'
"""
    )


def describe_addresses(site: str, *, built: bool) -> str:
    """Where the service at `site` is found; without a build of the board, how to get one."""
    api = f"  API        {site}/graphql, and as REST {site}/api/"
    if not built:
        return f"{api}\n  Board      not built; `make web` builds it, GraphiQL and /docs"
    pages = f"  GraphiQL   {site}/graphql (in a browser)\n  REST docs  {site}/docs (in a browser)"
    return f"  Board      {site}/\n{api}\n{pages}"


def _say(line: str) -> None:
    # A terminal that was closed or a `| head` that ended must not keep the children from being stopped.
    with suppress(OSError):
        click.echo(line)


def _core_count() -> int:
    # What this process may use, which in a container is often less than what the machine has.
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
