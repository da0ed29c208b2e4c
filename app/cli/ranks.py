"""`shardboard ranks`: are the ranks in Redis what the shards say, and if not, build them anew."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import click

from app.cli.find_settings import data_option, find_settings
from app.cli.output import json_option, print_json, print_table, progress
from app.cli.whole_help import WholeHelp
from app.parts import open_parts
from app.settings import Settings
from domain.errors import OperatorError
from service.renew_ranks import renew_ranks
from service.verify_ranks import Verified, verify_ranks

_NAMED_MAX = 20


@click.group(cls=WholeHelp)
def ranks() -> None:
    """The ranks in Redis: compare them with the shards, or build them anew."""


@ranks.command()
@data_option
@json_option
def verify(data: Path | None, as_json: bool) -> None:
    """Compare every standing of every shard with Redis; exit code 1 and up to 20 differences where they differ.

    Total, games played, last played, name and revision are compared, and who is missing or too many. It may run while
    scores come in: what differs is looked at again for some seconds before it is called different.
    """
    verified = asyncio.run(_verify(find_settings(data)))
    named = verified.differences[:_NAMED_MAX]
    if as_json:
        print_json(
            {
                "standings": verified.standings,
                "differences": len(verified.differences),
                "named": [asdict(difference) for difference in named],
            }
        )
    elif named:
        print_table(["player", "what", "shards", "redis"], [tuple(asdict(each).values()) for each in named])
    else:
        click.echo(f"{verified.standings} standings, all of them in Redis as the shards have them")
    if verified.differences:
        raise OperatorError(
            f"{len(verified.differences)} differences between Redis and the {verified.standings} standings of the "
            "shards; `shardboard ranks rebuild` makes the ranks anew"
        )


@ranks.command()
@click.option("--take-over", is_flag=True, help="End a rebuild of another process instead of waiting for it.")
@data_option
@json_option
def rebuild(take_over: bool, data: Path | None, as_json: bool) -> None:
    """Build the ranks anew from every shard. Readers see the old ranks until the new ones are whole."""
    count = asyncio.run(_rebuild(find_settings(data), take_over))
    if as_json:
        print_json({"standings": count})
    else:
        click.echo(f"the ranks are built anew from {count} standings")


async def _verify(settings: Settings) -> Verified:
    async with open_parts(settings, background=False) as parts:
        with progress("standings compared") as done:
            return await verify_ranks(parts, done)


async def _rebuild(settings: Settings, take_over: bool) -> int:
    async with open_parts(settings, background=False) as parts:
        with progress("standings") as done:
            return await renew_ranks(parts, done, take_over=take_over)
