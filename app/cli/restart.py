"""`shardboard restart`: the API processes of a local cluster anew, without an interruption."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from infra.local.control import restart_local


@click.command()
@click.option(
    "--data", envvar="DATA", type=click.Path(file_okay=False, path_type=Path), default=".data", show_default=True
)
def restart(data: Path) -> None:
    """Restart the API processes that `up` started, one after the other, as for new code.

    Each answers what it accepted before it ends, and accepts connections again before the next is stopped: with two of
    them or more, a client that tries a lost connection once more sees no failure.
    """
    asyncio.run(restart_local(data, "api"))
    click.echo("all API processes were restarted")
