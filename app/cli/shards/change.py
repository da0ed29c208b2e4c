"""`shardboard shards add` and `shards remove`: which shards there are."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import click

from app.cli.find_settings import data_option, find_settings
from app.cli.fleet import open_fleet, require_local_data
from app.cli.output import say
from app.settings import Settings
from db.directory import DirectoryEntry
from infra.local.control import add_local_shard, remove_local_shard
from service.change_shards import add_shard, remove_shard, require_new_name
from sharding.reshard.fleet import locked_fleet

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class _Size(click.ParamType[int]):
    """Bytes, such as 500M or 2T."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", str(value).strip().upper())
        if match is None:
            self.fail(f"{value!r} is no size: give bytes, or a number with K, M, G or T, such as 500G", param, ctx)
        return int(float(match[1]) * _UNITS[match[2]])


@click.command()
@click.argument("name")
@click.option("--url", help="Its address through PgBouncer: postgresql://user:password@host:port/database")
@click.option("--direct-url", help="The address of the PostgreSQL itself, which the other shards have to reach, too.")
@click.option("--local", is_flag=True, help="Start one more PostgreSQL and PgBouncer in the cluster of `make up`.")
@click.option("--capacity", type=_Size(), help="How large its database may get by moves, such as 500G.")
@data_option
def add(
    name: str, url: str | None, direct_url: str | None, local: bool, capacity: int | None, data: Path | None
) -> None:
    """Take an empty PostgreSQL in as shard NAME. It owns nothing until `shards rebalance` moves buckets to it.

    It is checked first: version, settings that moves need, whether it is empty, and whether it and the other shards
    reach each other. Every API process finds it by itself. Given again for a shard that is there, the command changes
    its addresses or its capacity.
    """
    if local == bool(url or direct_url) or bool(url) != bool(direct_url):
        raise click.UsageError("Give either --local, or both --url and --direct-url.")
    entry = DirectoryEntry(name, url or "", direct_url or "", capacity_bytes=capacity)
    asyncio.run(_add(find_settings(data), entry, require_local_data(data) if local else None))
    click.echo(f"{name} is a shard; `shardboard shards rebalance` gives it its part")


@click.command()
@click.argument("name")
@click.option("--local", is_flag=True, help="Also stop its PostgreSQL and PgBouncer in the cluster of `make up`.")
@data_option
def remove(name: str, local: bool, data: Path | None) -> None:
    """Take shard NAME, which owns nothing, out of the deployment. Every API process forgets it by itself.

    `shards drain NAME` moves what it owns to the others first. With --local its files are deleted, too.
    """
    path = require_local_data(data) if local else None
    settings = find_settings(data)
    asyncio.run(_remove(settings, name))
    # Not where that was done already by a command that was cut short after it.
    if path is not None and (name in {shard.name for shard in settings.shards} or (path / name).exists()):
        say(f"stopping the PostgreSQL and the PgBouncer of {name}")
        asyncio.run(remove_local_shard(path, name))
    click.echo(f"{name} is no shard any more")


async def _add(settings: Settings, entry: DirectoryEntry, start_in: Path | None) -> None:
    # A local cluster's file names the new shard already; whether it is one is what the shards say.
    others = [shard for shard in settings.shards if shard.name != entry.name]
    async with open_fleet(settings.model_copy(update={"shards": others})) as fleet, locked_fleet(fleet, "add"):
        if start_in is not None:
            await require_new_name(fleet, entry.name)
            say(f"starting a PostgreSQL and a PgBouncer for {entry.name}")
            urls = await add_local_shard(start_in, entry.name)
            entry = replace(entry, url=urls.url, direct_url=urls.direct_url)
        await add_shard(
            fleet,
            entry,
            back_days=settings.id_window_back_days,
            months_ahead=settings.partition_months_ahead,
            say=say,
        )


async def _remove(settings: Settings, name: str) -> None:
    async with open_fleet(settings) as fleet, locked_fleet(fleet, "remove"):
        await remove_shard(fleet, name, say=say)
