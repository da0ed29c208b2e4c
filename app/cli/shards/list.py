"""`shardboard shards list`: what there is, and what it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from app.cli.find_settings import data_option, find_settings
from app.cli.output import json_option, megabytes, print_json, print_table
from app.parts import open_shards
from app.settings import Settings
from domain.errors import MapError, OperatorError
from service.list_shards import ListedShard, ListedShards, list_shards
from sharding.replica import ReplicaState

_HEADINGS = [
    "shard",
    "health",
    "buckets",
    "players (est.)",
    "sessions (est.)",
    "size",
    "slots",
    "lag",
    "schema",
    "postgres",
    "prepared",
]


@click.command("list")
@data_option
@json_option
def list_(data: Path | None, as_json: bool) -> None:
    """List every shard. Players and sessions are the database's estimates, some minutes old.

    `slots` are replication slots, one for each move under way and commonly one for each replica, and `lag` is what the
    slowest of their readers has not confirmed. `prepared` says whether prepared statements are kept on the way to the
    shard; PgBouncer before 1.21 does not keep them. `replicas` tells how far each is behind, or why it is left out.
    Exit code 1 where a shard does not answer, or where not every bucket has one owner.
    """
    listed = asyncio.run(_list(find_settings(data)))
    if as_json:
        print_json({"shards": [_as_json(shard) for shard in listed.shards], "map_error": listed.map_error})
    else:
        headings, rows = _HEADINGS, [_as_row(shard) for shard in listed.shards]
        if any(shard.replicas for shard in listed.shards):
            headings = [*headings, "replicas"]
            rows = [[*row, _in_words(shard.replicas)] for row, shard in zip(rows, listed.shards, strict=True)]
        print_table(headings, rows)
    errors = [shard.error for shard in listed.shards if shard.error]
    if errors:
        raise OperatorError(" ".join(errors))
    if listed.map_error:
        raise MapError(listed.map_error)


async def _list(settings: Settings) -> ListedShards:
    async with open_shards(settings) as shards:
        return await list_shards(shards)


def _as_row(shard: ListedShard) -> list[object]:
    held = shard.overview
    if held is None:
        return [shard.name, shard.health, *[None] * 9]
    return [
        shard.name, shard.health, held.buckets, held.players_estimated, held.sessions_estimated, megabytes(held.bytes),
        held.slots, megabytes(held.lag_bytes), held.schema_version, held.server_version, shard.prepared,
    ]  # fmt: skip


def _as_json(shard: ListedShard) -> dict[str, object]:
    held = asdict(shard.overview) if shard.overview else {}
    answers = shard.overview is not None
    return {
        "name": shard.name, "answers": answers, "health": shard.health, **held, "prepared": shard.prepared,
        "replicas": [asdict(replica) for replica in shard.replicas], "error": shard.error,
    }  # fmt: skip


def _in_words(replicas: Sequence[ReplicaState]) -> str | None:
    return "; ".join(map(_replica_in_words, replicas)) or None


def _replica_in_words(replica: ReplicaState) -> str:
    if replica.is_used and replica.lag_s is not None:
        return f"{replica.address} {replica.lag_s:.1f} s"
    return f"{replica.address} left out: {replica.why_not}"
