"""`shardboard migrate`: every shard to the newest schema, all of them or a clear report of which not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click

from app.cli.find_settings import data_option, find_settings
from app.cli.fleet import find_shards_directly
from app.settings import Settings
from db.migrate import newest_revision
from domain.errors import OperatorError
from service.prepare import Prepared, migrate_shards


@click.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def migrate(data: Path | None, as_json: bool) -> None:
    """Bring every shard to the newest schema; a new deployment is also given its buckets."""
    results = asyncio.run(migrate_addresses(find_settings(data)))
    if as_json:
        click.echo(json.dumps([_as_json(result) for result in results]))
    else:
        for result in results:
            click.echo(f"{result.shard}: {_in_words(result)}")
    failed = [result.shard for result in results if result.error]
    if failed:
        raise OperatorError(
            f"{len(failed)} of {len(results)} shards are not migrated: {', '.join(failed)}; "
            "mend what is said above and run it again, the others are done"
        )


async def migrate_addresses(settings: Settings) -> list[Prepared]:
    """Migrate the shards of a configuration, and those that were added to them, through their direct addresses."""
    return await migrate_shards(
        await find_shards_directly(settings),
        back_days=settings.id_window_back_days,
        months_ahead=settings.partition_months_ahead,
    )


def _in_words(result: Prepared) -> str:
    if result.error:
        return f"failed: {result.error}"
    newest = newest_revision()
    if result.before == newest:
        return f"at schema {newest} already"
    return f"at schema {newest} now, {f'was at {result.before}' if result.before else 'was empty'}"


def _as_json(result: Prepared) -> dict[str, str | None]:
    return {"shard": result.shard, "before": result.before, "error": str(result.error) if result.error else None}
