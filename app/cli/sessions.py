"""`shardboard sessions`: the months in which sessions are kept."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click

from app.cli.find_settings import data_option, find_settings
from app.cli.fleet import open_still_fleet
from app.cli.output import json_option, megabytes, print_json, print_table, say
from app.cli.whole_help import WholeHelp
from app.parts import open_postgreses
from app.settings import Settings
from db.partitions import Month
from service.list_partitions import ShardMonths, make_and_list_partitions
from service.prune_sessions import Pruned, prune_sessions


@click.group(cls=WholeHelp)
def sessions() -> None:
    """The sessions' monthly partitions: list them, make them ahead, drop old ones."""


@sessions.command()
@click.option(
    "--ahead", type=click.IntRange(0, 24), help="Months kept ready; SHARDBOARD_PARTITION_MONTHS_AHEAD if not."
)
@data_option
@json_option
def partitions(ahead: int | None, data: Path | None, as_json: bool) -> None:
    """Make the months that are missing on any shard, then list all. The numbers of sessions are estimates."""
    months = asyncio.run(_partitions(find_settings(data), ahead))
    if as_json:
        print_json([_months_as_json(shard) for shard in months])
    else:
        print_table(["month", "shards", "sessions (est.)", "size", "made now"], _by_month(months))


@sessions.command()
@click.option(
    "--before", type=click.DateTime(["%Y-%m"]), required=True, metavar="YYYY-MM", help="The first month that stays."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be dropped.")
@data_option
@json_option
def prune(before: datetime, dry_run: bool, data: Path | None, as_json: bool) -> None:
    """Drop the sessions of every month before one; totals, ranks and games played stay as they are.

    Histories and exports lose these sessions for good, and no import brings sessions of such a month in again. Nothing
    is locked meanwhile. It may be stopped at any time and run again.
    """
    month = Month.of(before.replace(tzinfo=UTC))
    pruned = asyncio.run(_prune(find_settings(data), month, dry_run))
    if as_json:
        print_json({"before": str(month), "dry_run": dry_run, "shards": [_pruned_as_json(shard) for shard in pruned]})
        return
    rows = [
        (shard.shard, str(partition.month), max(partition.sessions_estimated, 0), megabytes(partition.bytes))
        for shard in pruned
        for partition in shard.partitions
    ]
    rows += [(shard.shard, str(month), 0, None) for shard in pruned for month in shard.leftovers]
    if rows:
        print_table(["shard", "would be dropped" if dry_run else "dropped", "sessions (est.)", "size"], rows)
    else:
        click.echo(f"there are no sessions before {month}")


async def _partitions(settings: Settings, ahead: int | None) -> list[ShardMonths]:
    months_ahead = settings.partition_months_ahead if ahead is None else ahead
    async with open_postgreses(settings) as postgreses:
        return await make_and_list_partitions(
            postgreses, back_days=settings.id_window_back_days, months_ahead=months_ahead
        )


async def _prune(settings: Settings, before: Month, dry_run: bool) -> list[Pruned]:
    async with open_still_fleet(settings, "prune") as fleet:
        return await prune_sessions(fleet.direct, before, window_back=settings.id_window.back, dry_run=dry_run, say=say)


def _by_month(shards: list[ShardMonths]) -> list[tuple[object, ...]]:
    months = sorted({partition.month for shard in shards for partition in shard.partitions})
    rows: list[tuple[object, ...]] = []
    for month in months:
        here = [partition for shard in shards for partition in shard.partitions if partition.month == month]
        count = sum(max(partition.sessions_estimated, 0) for partition in here)
        made = sum(month in shard.made for shard in shards)
        size = megabytes(sum(partition.bytes for partition in here))
        rows.append((str(month), len(here), count, size, made))
    return rows


def _months_as_json(shard: ShardMonths) -> dict[str, object]:
    return {
        "shard": shard.shard,
        "months": [
            {
                "month": str(partition.month),
                "bytes": partition.bytes,
                "sessions_estimated": max(partition.sessions_estimated, 0),
                "made_now": partition.month in shard.made,
                "detaching": partition.detaching,
            }
            for partition in shard.partitions
        ],
    }


def _pruned_as_json(shard: Pruned) -> dict[str, object]:
    months = [partition.month for partition in shard.partitions] + shard.leftovers
    return {"shard": shard.shard, "months": [str(month) for month in sorted(months)]}
