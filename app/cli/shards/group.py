"""The commands of `shardboard shards`."""

from __future__ import annotations

import click

from app.cli.shards.change import add, remove
from app.cli.shards.list import list_
from app.cli.shards.move import abort, clean_up, drain, move, pause, rebalance, resume, revert
from app.cli.shards.status import status
from app.cli.shards.verify import verify
from app.cli.whole_help import WholeHelp


@click.group(cls=WholeHelp)
def shards() -> None:
    """The shards: list, add and remove them, and move players between them while the game is on."""


for command in (
    list_, add, remove, rebalance, drain, move, status, pause, resume, abort, revert, clean_up, verify
):  # fmt: skip
    shards.add_command(command)
