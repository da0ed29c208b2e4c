"""`--help`: whole sentences, at once."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from app.cli.main import shardboard

COMMANDS = shardboard.list_commands(click.Context(shardboard))
HELP = """
import sys
from app.cli.main import main
sys.argv = ["shardboard", "--help"]
try:
    main()
finally:
    print({"sqlalchemy", "asyncpg", "redis", "fastapi", "graphql"} & set(sys.modules))
"""
GROUPS = ("keys", "ranks", "sessions", "shards")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_list_is_there(name: str) -> None:
    command = shardboard.get_command(click.Context(shardboard), name)
    assert command is not None
    assert command.name == name
    assert isinstance(command, click.Group) is (name in GROUPS)


@pytest.mark.parametrize("arguments", [(), *((group,) for group in GROUPS)])
def test_what_a_command_does_is_said_in_whole_sentences(arguments: tuple[str, ...]) -> None:
    said = CliRunner().invoke(shardboard, [*arguments, "--help"]).output
    commands = said.partition("Commands:\n")[2]
    assert commands.count(".") >= len(commands.splitlines()) / 2
    assert "..." not in commands
    assert max(map(len, commands.splitlines())) <= 80


def test_the_list_is_shown_without_loading_the_service() -> None:
    said = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True).stdout
    assert "Start the whole service on this machine." in said
    assert said.splitlines()[-1] == "set()"
