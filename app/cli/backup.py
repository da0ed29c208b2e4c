"""`shardboard backup`: all shards in a new folder, while scores come in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from app.cli.find_settings import data_option, find_settings
from app.cli.fleet import open_still_fleet
from app.cli.output import json_option, megabytes, print_json, progress, say
from app.settings import Settings
from app.version import VERSION
from service.backup.back_up import back_up
from service.backup.folder import find_incomplete
from service.backup.manifest import Manifest


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@data_option
@json_option
def backup(folder: Path, data: Path | None, as_json: bool) -> None:
    """Write players, sessions, standings, hashed keys and who owns which bucket to DIR, which must not exist yet.

    Scores may come in meanwhile: every session that was acknowledged before is in it. Buckets may not move: it refuses
    to begin while a move is under way, and moves refuse to begin while it runs. DIR appears when it is whole.

    Not in it: ranks (they are built anew), settings with their keys and secrets, and the addresses of shards.
    """
    folder = folder.absolute()
    settings = find_settings(data)
    for left in find_incomplete(folder):
        say(f"{left} is left of a backup that was killed; it may be deleted")
    manifest = asyncio.run(_back_up(settings, folder))
    if as_json:
        print_json({"folder": str(folder), **summary_of(manifest)})
    else:
        click.echo(f"{in_words(manifest)} are in {folder}, {megabytes(manifest.bytes)}")


async def _back_up(settings: Settings, folder: Path) -> Manifest:
    async with open_still_fleet(settings, "backup") as fleet:
        with progress("rows") as done:
            return await back_up(fleet, folder, VERSION, done)


def in_words(manifest: Manifest) -> str:
    """What a backup holds, for people."""
    players, sessions = manifest.rows("players"), manifest.rows("game_sessions")
    return f"{len(manifest.shards)} shard(s) with {players:,} players and {sessions:,} sessions"


def summary_of(manifest: Manifest) -> dict[str, object]:
    """What a backup holds, for machines."""
    return {
        "backup_id": manifest.backup_id,
        "began_at": manifest.began_at,
        "ended_at": manifest.ended_at,
        "shards": [shard.name for shard in manifest.shards],
        "players": manifest.rows("players"),
        "sessions": manifest.rows("game_sessions"),
        "bytes": manifest.bytes,
    }
