"""`shardboard restore`: a deployment made of a backup, its ranks built anew, everything compared."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from app.cli.backup import in_words, summary_of
from app.cli.find_settings import data_option, find_settings
from app.cli.fleet import open_fleet
from app.cli.output import json_option, print_json, print_table, progress, say
from app.parts import open_parts
from app.settings import Settings
from domain.errors import OperatorError, Unavailable
from ranking.store import RanksUnavailable
from service.backup.check_backup import check_backup
from service.backup.manifest import Manifest, read_manifest
from service.backup.restore import Restored, load_shards, open_shards
from service.renew_ranks import renew_ranks
from service.verify_ranks import Difference, verify_ranks
from service.verify_shards import ShardFault, verify_shards
from sharding.reshard.fleet import Fleet, locked_fleet

_NAMED_MAX = 20


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was done, and what is not as it should be afterwards; without_ranks: why Redis got none."""

    restored: Restored
    faults: list[ShardFault]
    differences: list[Difference]
    without_ranks: str | None


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Only read the backup and say whether it is whole; needs no deployment.")
@click.option("--overwrite", is_flag=True, help="Delete all players and sessions that the shards hold.")
@click.option(
    "--into",
    multiple=True,
    metavar="OLD=NEW",
    help="Put what shard OLD of the backup held into shard NEW; may be given several times, also for one NEW.",
)
@data_option
@json_option
def restore(
    folder: Path, check: bool, overwrite: bool, into: tuple[str, ...], data: Path | None, as_json: bool
) -> None:
    """Make the deployment's shards of the backup in DIR.

    The shards have to be migrated and empty, and have the names that they had; there may be more of them (the others
    stay empty until `shards rebalance`), and with --into they may be fewer or be called otherwise. Every file is
    checked before anything is written. Nobody can submit until the end, and a run that was killed is just begun again.

    Ranks are built anew; then all shards and all ranks are verified. Exit code 1, with what differs, where they do.
    """
    renames = dict(_parse(each) for each in into)
    manifest = asyncio.run(_check(folder.absolute()))
    if check:
        _tell_whole(folder, manifest, as_json)
        return
    outcome = asyncio.run(_restore(find_settings(data), folder.absolute(), manifest, renames, overwrite))
    _tell(folder, manifest, outcome, as_json)


def _parse(text: str) -> tuple[str, str]:
    old, separator, new = text.partition("=")
    if not separator or not old or not new:
        raise OperatorError(f"--into {text}: OLD=NEW is wanted, the name of a shard in the backup and one of here.")
    return old, new


async def _check(folder: Path) -> Manifest:
    with progress("bytes checked", read_manifest(folder).bytes) as done:
        return await check_backup(folder, done)


async def _restore(
    settings: Settings, folder: Path, manifest: Manifest, renames: dict[str, str], overwrite: bool
) -> _Outcome:
    async with open_fleet(settings) as fleet, locked_fleet(fleet, "restore"):
        rows = sum(file.rows for shard in manifest.shards for file in shard.files)
        with progress("rows", rows) as done:
            restored = await load_shards(fleet, folder, manifest, renames=renames, overwrite=overwrite, progress=done)
        # Before anybody may submit: what Redis holds is of the time before.
        without_ranks = await _renew_ranks(settings)
        await open_shards(fleet)
        return await _verify(settings, fleet, restored, without_ranks)


async def _renew_ranks(settings: Settings) -> str | None:
    """Build the ranks anew; why not, where Redis is away: shards that are whole must not stay closed for that."""
    async with open_parts(settings, background=False) as parts:
        try:
            with progress("standings") as done:
                await renew_ranks(parts, done)
            await parts.seen_ids.doubt()
        except RanksUnavailable as error:
            return str(error)
    return None


async def _verify(settings: Settings, fleet: Fleet, restored: Restored, without_ranks: str | None) -> _Outcome:
    verified = await verify_shards(fleet)
    differences: list[Difference] = []
    if without_ranks is None:
        async with open_parts(settings, background=False) as parts:
            try:
                with progress("standings compared") as done:
                    differences = (await verify_ranks(parts, done)).differences
            except Unavailable as error:
                without_ranks = str(error)
    return _Outcome(restored, verified.faults, differences, without_ranks)


def _tell_whole(folder: Path, manifest: Manifest, as_json: bool) -> None:
    if as_json:
        print_json({"whole": True, **summary_of(manifest)})
    else:
        click.echo(
            f"{folder} is whole: {in_words(manifest)}, of {manifest.began_at:%Y-%m-%d %H:%M:%S} UTC, schema "
            f"{manifest.schema_revision}, made by Shardboard {manifest.service_version}"
        )


def _tell(folder: Path, manifest: Manifest, outcome: _Outcome, as_json: bool) -> None:
    faults, differences = outcome.faults[:_NAMED_MAX], outcome.differences[:_NAMED_MAX]
    if as_json:
        print_json(
            {
                **summary_of(manifest),
                **asdict(outcome.restored),
                "shard_faults": [asdict(each) for each in faults],
                "rank_differences": [asdict(each) for each in differences],
                "without_ranks": outcome.without_ranks,
            }
        )
    else:
        if outcome.restored.loaded_before:
            say(f"loaded by an earlier run already: {', '.join(outcome.restored.loaded_before)}")
        if faults:
            print_table(["shard", "player", "what"], [(each.shard, each.player, each.what) for each in faults])
        if differences:
            print_table(["player", "what", "shards", "redis"], [tuple(asdict(each).values()) for each in differences])
        if not faults and not differences:
            ranks = "" if outcome.without_ranks else ", and the ranks are built anew and equal them"
            click.echo(f"{in_words(manifest)} are restored from {folder}; everything adds up{ranks}")
    if outcome.without_ranks:
        raise OperatorError(
            f"The shards are restored and open, but there are no ranks: {outcome.without_ranks} When Redis is back: "
            "`shardboard ranks rebuild`, then `shardboard ranks verify`."
        )
    if outcome.faults or outcome.differences:
        raise OperatorError(
            f"The backup is restored, and {len(outcome.faults)} thing(s) are wrong with the shards and "
            f"{len(outcome.differences)} with the ranks; see above."
        )
