"""`shardboard`: where the command line begins."""

from __future__ import annotations

import importlib
import logging
import sys

import click

from app.version import VERSION
from db.explain import explain
from domain.errors import ShardboardError

# Imported only when asked for, so that `shardboard --help` does not load a web server.
_COMMANDS = {
    "up": "app.cli.up:up",
    "restart": "app.cli.restart:restart",
    "serve": "app.cli.serve:serve",
    "migrate": "app.cli.migrate:migrate",
    "seed": "app.cli.seed:seed",
    "import": "app.cli.import_sessions:import_",
    "export": "app.cli.export_sessions:export",
    "ranks": "app.cli.ranks:ranks",
    "keys": "app.cli.keys:keys",
    "shards": "app.cli.shards.group:shards",
    "sessions": "app.cli.sessions:sessions",
    "backup": "app.cli.backup:backup",
    "restore": "app.cli.restore:restore",
    "doctor": "app.cli.doctor:doctor",
    "kubernetes": "app.cli.kubernetes:kubernetes",
}


class _Commands(click.Group):
    """The table above as a click group."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, name = place.split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="shardboard")
def shardboard() -> None:
    """A sharded, self-hosted leaderboard service for games."""


def main() -> None:
    """Run the command line. An expected failure is one line on stderr and exit code 1."""
    # What a command has to say it says itself; `serve` sets up a log of its own.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        shardboard()
    except ShardboardError as error:
        click.echo(f"shardboard: {explain(error)}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
