"""`shardboard`: where the command line begins."""

from __future__ import annotations

import gc
import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from app.cli.whole_help import WholeHelp
from app.version import VERSION
from domain.errors import ShardboardError

# What each does stands here, too: `shardboard --help` would load a web server and every driver to ask them.
_COMMANDS = {
    "up": ("app.cli.up:up", "Start the whole service on this machine."),
    "restart": ("app.cli.restart:restart", "Restart the API processes of `up`, one after the other."),
    "serve": ("app.cli.serve:serve", "Run one API process."),
    "migrate": ("app.cli.migrate:migrate", "Bring every shard to a newer schema."),
    "seed": ("app.cli.seed:seed", "Fill the shards with invented players and sessions."),
    "import": ("app.cli.import_sessions:import_", "Record the sessions of a file."),
    "export": ("app.cli.export_sessions:export", "Write every session to a file."),
    "ranks": ("app.cli.ranks:ranks", "Compare the ranks in Redis with the shards, or build them anew."),
    "keys": ("app.cli.keys:keys", "Make, list and revoke keys of game servers and admins."),
    "shards": ("app.cli.shards.group:shards", "Add and remove shards, and move players between them."),
    "sessions": ("app.cli.sessions:sessions", "Make monthly partitions ahead, and drop old ones."),
    "backup": ("app.cli.backup:backup", "Write all that the shards hold to a directory."),
    "restore": ("app.cli.restore:restore", "Make the deployment's shards of a backup."),
    "doctor": ("app.cli.doctor:doctor", "Say what is not as it should be, and what to do about it."),
    "kubernetes": ("app.cli.kubernetes:kubernetes", "Write manifests for Kubernetes from a file of values."),
}


class _Commands(WholeHelp):
    """The table above as a click group; a command is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def describe(self, name: str, ctx: click.Context) -> str:
        return _COMMANDS[name][1]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        with _no_garbage():
            command: click.Command = getattr(importlib.import_module(module), name)
        return command


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Imports make hundreds of thousands of objects that stay: looking for garbage among them, now and at the end of
    the process, takes a third of a short command's time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


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
        from db.explain import explain  # loads database drivers, which most of what fails here has loaded

        click.echo(f"shardboard: {explain(error)}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
