"""`make chaos-reshard`: the long fault run of moving buckets."""

from __future__ import annotations

import asyncio
import sys
import time

import click

from tests.chaos.reshard.run import run


@click.command()
@click.option("--seed", type=int, default=None, help="What decides everything; another one at each run by default.")
@click.option("--minutes", type=float, default=10.0, show_default=True, help="For how long; at least one round.")
@click.option("--short", is_flag=True, help="The rounds that `make test` runs.")
def main(seed: int | None, minutes: float, short: bool) -> None:
    """Move buckets under traffic while parts are killed; exit code 1 where a promise was broken."""
    chosen = time.time_ns() % 1_000_000 if seed is None else seed
    report = asyncio.run(run(chosen, click.echo, minutes=minutes, short=short))
    click.echo(f"seed {chosen}: {len(report.violations) or 'no'} violation(s)")
    sys.exit(bool(report.violations))


if __name__ == "__main__":
    main()
