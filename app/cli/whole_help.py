"""Groups of commands whose help says what each does in whole sentences; click cuts them off at the end of the line."""

from __future__ import annotations

import click

_UNCUT = 1_000


class WholeHelp(click.Group):
    """A group whose list of commands wraps."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See the base class."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.describe(name, ctx)) for name in self.list_commands(ctx)])

    def describe(self, name: str, ctx: click.Context) -> str:
        """What a command does: the first sentence of its help."""
        command = self.get_command(ctx, name)
        return "" if command is None else command.get_short_help_str(_UNCUT)
