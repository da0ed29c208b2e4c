"""`make chaos`: the long fault run."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import click

from tests.chaos.faults.run import run


@click.command()
@click.option("--seed", type=int, default=None, help="What decides everything; another one at each run by default.")
@click.option("--minutes", type=float, default=5.0, show_default=True, help="For how long there are faults.")
@click.option("--short", is_flag=True, help="What `make test` runs: every kind of fault once, several at a time.")
@click.option("--logs", type=click.Path(path_type=Path), default=None, help="Where to keep the logs of all parts.")
def main(seed: int | None, minutes: float, short: bool, logs: Path | None) -> None:
    """Break parts of a service under traffic; exit code 1 where a promise was broken."""
    chosen = time.time_ns() % 1_000_000 if seed is None else seed
    report = asyncio.run(run(chosen, click.echo, minutes=minutes, short=short, logs=logs))
    click.echo(f"seed {chosen}: {len(report.violations) or 'no'} violation(s)")
    sys.exit(bool(report.violations))


if __name__ == "__main__":
    main()
