"""`shardboard doctor`: what is not as it should be, and what to do about it."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from pathlib import Path

import click

from app.cli.find_settings import data_option, find_settings
from app.cli.fleet import find_local_data
from app.cli.output import json_option, print_json
from app.parts import connection_limits, seeds_of
from app.settings import Settings
from db.directory import DirectoryEntry, read_directory, read_directory_as_service
from db.explain import explain
from db.postgres import Postgres
from domain.errors import ShardboardError
from domain.standing import GLOBAL_BOARD
from ranking.keys import BoardKeys
from ranking.store import Store
from service.doctor.disk_check import judge_disk
from service.doctor.examine import Examined, Patient, examine
from service.doctor.finding import Finding, Severity
from service.find_shards import find_shards

_EXIT_CODES = {Severity.ERROR: 2, Severity.WARNING: 1, Severity.NOTE: 0}


@click.command()
@data_option
@json_option
def doctor(data: Path | None, as_json: bool) -> None:
    """Look at shards, PgBouncers, Redis and who owns what, and say what to do about what is wrong. Changes nothing.

    Exit code 0 where there is nothing to do (notes may be given), 1 with warnings (it works, and will be trouble), 2
    with errors (something does not work, or scores are not safe), also where the settings themselves are wrong. A part
    that is away is a finding. It takes some seconds, and less than a minute whatever hangs.
    """
    try:
        examined = asyncio.run(_examine(find_settings(data), find_local_data(data)))
    except ShardboardError as error:
        click.echo(f"shardboard: {explain(error)}", err=True)
        sys.exit(_EXIT_CODES[Severity.ERROR])
    if as_json:
        findings = [asdict(finding) for finding in examined.findings]
        print_json({"worst": _worst(examined), "looks": examined.looks, "findings": findings})
    else:
        for parts, finding in _grouped(examined.findings):
            click.echo(f"{finding.severity.upper():8} {parts}: {finding.what}")
            click.echo(f"{'':8} {finding.do}")
        click.echo(_summary(examined))
    sys.exit(max((_EXIT_CODES[finding.severity] for finding in examined.findings), default=0))


async def _examine(settings: Settings, local: Path | None) -> Examined:
    seeds = seeds_of(settings)
    limits = connection_limits(settings)

    def directly(entry: DirectoryEntry) -> Postgres:
        return Postgres(entry.name, entry.direct_url, limits)

    def pooled(entry: DirectoryEntry) -> Postgres:
        return Postgres(entry.name, entry.url, limits)

    if all(seed.direct_url for seed in seeds):
        found = await find_shards(seeds, directly, read_directory)
    else:
        found = await find_shards(seeds, pooled, read_directory_as_service)
    async with AsyncExitStack() as stack:
        store = Store(settings.redis_url, timeout_s=settings.redis_timeout_ms / 1000)
        stack.push_async_callback(store.close)
        patients = [Patient(entry, pooled(entry), directly(entry) if entry.direct_url else None) for entry in found]
        for patient in patients:
            for postgres in filter(None, (patient.pooled, patient.direct)):
                stack.push_async_callback(postgres.close)
        examined = await examine(
            patients,
            store,
            BoardKeys(GLOBAL_BOARD),
            back_days=settings.id_window_back_days,
            months_ahead=settings.partition_months_ahead,
        )
    if local is None:
        return examined
    disk = shutil.disk_usage(local)
    return Examined(judge_disk(str(local), disk.free, disk.total) + examined.findings, examined.looks + 1)


def _grouped(findings: Sequence[Finding]) -> list[tuple[str, Finding]]:
    """Each finding once, with all the parts of which it is true."""
    groups: dict[Finding, list[str]] = {}
    for finding in findings:
        groups.setdefault(replace(finding, part=""), []).append(finding.part)
    return [(", ".join(parts), finding) for finding, parts in groups.items()]


def _summary(examined: Examined) -> str:
    counts = Counter(finding.severity for finding in examined.findings)
    told = ", ".join(f"{counts[each]} {each}{'s' if counts[each] > 1 else ''}" for each in Severity if counts[each])
    return f"{examined.looks} looks: {told or 'all is as it should be'}"


def _worst(examined: Examined) -> str | None:
    order = list(Severity)
    return min((finding.severity for finding in examined.findings), key=order.index, default=None)
