"""`shardboard shards verify`: does everything add up over all shards?"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import click

from app.cli.find_settings import data_option, find_settings
from app.cli.fleet import open_fleet
from app.cli.output import json_option, print_json, print_table
from app.settings import Settings
from domain.errors import OperatorError
from service.verify_shards import VerifiedShards, verify_shards

_NAMED_MAX = 20


@click.command()
@data_option
@json_option
def verify(data: Path | None, as_json: bool) -> None:
    """Look at every row of every shard; exit code 1 and up to 20 faults where something is wrong.

    Every player has to be on exactly one shard and the right one, with a total equal to the sum of the sessions (where
    none of them were pruned), and nothing may be left of moves that have ended. It may run at any time.
    """
    verified = asyncio.run(_verify(find_settings(data)))
    named = verified.faults[:_NAMED_MAX]
    if as_json:
        print_json(
            {
                "players": verified.players,
                "sessions": verified.sessions,
                "copies": verified.copies,
                "faults": len(verified.faults),
                "named": [asdict(fault) for fault in named],
            }
        )
    elif named:
        print_table(
            ["shard", "player", "what"], [(f.shard, None if f.player is None else str(f.player), f.what) for f in named]
        )
    else:
        copies = (
            f"; {verified.copies:,} rows are copies of moves under way or not cleaned up" if verified.copies else ""
        )
        click.echo(f"{verified.players:,} players with {verified.sessions:,} sessions, each where it belongs{copies}")
    if verified.faults:
        raise OperatorError(f"{len(verified.faults)} things are wrong with the shards; nothing was changed")


async def _verify(settings: Settings) -> VerifiedShards:
    async with open_fleet(settings) as fleet:
        return await verify_shards(fleet)
