"""`shardboard migrate`: every shard to a newer schema, all of them or a clear report of which not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from app.cli.find_settings import data_option, find_settings
from app.cli.fleet import find_shards_directly
from app.cli.output import json_option, print_json, print_table, say
from app.settings import Settings
from db.explain import explain
from db.schema import Migration
from domain.errors import OperatorError
from service.prepare import Prepared, migrate_shards
from service.schema_status import ShardSchema, read_schemas


@click.command()
@data_option
@click.option(
    "--contract",
    is_flag=True,
    help="Also run contract migrations, which take away what the version before used; refused while that one serves.",
)
@click.option("--status", is_flag=True, help="Only show each shard's schema, what it lacks, and who serves.")
@click.option("--dry-run", is_flag=True, help="Only show what would be run, and whether it would be refused.")
@json_option
def migrate(data: Path | None, contract: bool, status: bool, dry_run: bool, as_json: bool) -> None:
    """Bring every shard to a newer schema while the version before serves; a new deployment is also given its buckets.

    Runs the expand migrations, up to the first contract one. When every process of the version before has ended,
    --contract runs those as well. Stopped anywhere, it goes on when it is given again.
    """
    if status and (contract or dry_run):
        raise click.UsageError("--status goes alone.")
    settings = find_settings(data)
    if status or dry_run:
        schemas = asyncio.run(_look(settings))
        if as_json:
            print_json([_schema_as_json(schema) for schema in schemas])
        elif status:
            _print_status(schemas)
        else:
            _print_plan(schemas, contract=contract)
        _require_all([schema.shard for schema in schemas if schema.error], len(schemas), "do not say what they are at")
        return
    results = asyncio.run(migrate_addresses(settings, contract=contract))
    if as_json:
        print_json([_as_json(result) for result in results])
    else:
        for result in results:
            click.echo(f"{result.shard}: {_in_words(result)}")
    for result in results:
        for warning in result.warnings:
            say(f"warning: {result.shard}: {warning}")
    waiting = {migration for result in results for migration in result.waiting}
    if waiting:
        say(
            f"{_listed(sorted(waiting, key=lambda each: each.revision))}: run by `shardboard migrate --contract`, once "
            "no process of the version before serves"
        )
    _require_all(
        [result.shard for result in results if result.error],
        len(results),
        "are not migrated",
        "mend what is said above and run it again, the others are done",
    )


async def migrate_addresses(settings: Settings, *, contract: bool = False, alone: bool = False) -> list[Prepared]:
    """Migrate the shards of a configuration, and those that were added to them, through their direct addresses.

    Args:
        contract, alone: as for `service.prepare.migrate_shards`.
    """
    return await migrate_shards(
        await find_shards_directly(settings),
        back_days=settings.id_window_back_days,
        months_ahead=settings.partition_months_ahead,
        contract=contract,
        alone=alone,
    )


async def _look(settings: Settings) -> list[ShardSchema]:
    return await read_schemas(await find_shards_directly(settings))


def _print_status(schemas: Sequence[ShardSchema]) -> None:
    print_table(
        ["shard", "schema", "lacking", "serving"],
        [
            [
                schema.shard,
                explain(schema.error) if schema.error else schema.state.revision if schema.state else "empty",
                None if schema.error else _listed(schema.lacking) or "nothing",
                None if schema.error else len(schema.serving),
            ]
            for schema in schemas
        ],
    )
    serving = {each.process_id: each for schema in schemas for each in schema.serving}
    for process in serving.values():
        click.echo(f"serving: {process}, seen {process.seen_s:.0f} s ago")


def _print_plan(schemas: Sequence[ShardSchema], *, contract: bool) -> None:
    for schema in schemas:
        run = schema.lacking
        first = next((n for n, each in enumerate(run) if each.phase == "contract"), len(run))
        # A shard that is empty gets all of them.
        if not contract and schema.state is not None:
            run = run[:first]
        if schema.error:
            click.echo(f"{schema.shard}: {explain(schema.error)}")
        elif not run:
            click.echo(f"{schema.shard}: nothing to run")
        for migration in run:
            click.echo(f"{schema.shard}: would run {migration}: {migration.title}")
        if contract and schema.why_not_contracted:
            click.echo(f"{schema.shard}: would be refused: {schema.why_not_contracted}")


def _in_words(result: Prepared) -> str:
    if result.error:
        return f"failed: {explain(result.error)}"
    if result.before == result.after:
        return f"at schema {result.after} already"
    return f"at schema {result.after} now, {f'was at {result.before}' if result.before else 'was empty'}"


def _listed(migrations: Sequence[Migration]) -> str:
    return ", ".join(map(str, migrations))


def _require_all(failed: Sequence[str], count: int, what: str, advice: str = "see above") -> None:
    if failed:
        raise OperatorError(f"{len(failed)} of {count} shards {what}: {', '.join(failed)}; {advice}")


def _as_json(result: Prepared) -> dict[str, object]:
    return {
        "shard": result.shard,
        "before": result.before,
        "after": result.after,
        "error": explain(result.error) if result.error else None,
        "warnings": list(result.warnings),
        "waiting": [migration.revision for migration in result.waiting],
    }


def _schema_as_json(schema: ShardSchema) -> dict[str, object]:
    return {
        "shard": schema.shard,
        "schema": schema.state and schema.state.revision,
        "contracted_to": schema.state and schema.state.contracted_to,
        "lacking": [{"revision": each.revision, "phase": each.phase, "title": each.title} for each in schema.lacking],
        "serving": [{"process": str(each), "seen_seconds": round(each.seen_s, 1)} for each in schema.serving],
        "contract_refused": schema.why_not_contracted,
        "error": explain(schema.error) if schema.error else None,
    }
