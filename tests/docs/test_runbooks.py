"""The runbooks name commands and options that there are, and the documents' links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from app.cli.main import shardboard

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands_in(text: str) -> list[str]:
    """Every `$ shardboard …` of the blocks of code, lines that go on put together."""
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [found[1] for line in lines if (found := re.match(r"\$ (?:\.venv/bin/)?shardboard (.*)", line))]


def what_is_wrong(command: str) -> str | None:
    """Which word of a command is none of the command line's; None where all are."""
    words = shlex.split(command, comments=True)
    found: click.Command = shardboard
    context = click.Context(found)
    while words and isinstance(found, click.Group):
        inner = found.get_command(context, words[0])
        if inner is None:
            return f"there is no command {words[0]!r}"
        found, context, words = inner, click.Context(inner, parent=context), words[1:]
    options = {option for parameter in found.get_params(context) for option in parameter.opts}
    return next((f"no option {word}" for word in words if word.startswith("-") and word not in options), None)


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.stem)
def test_every_command_is_there(runbook: Path) -> None:
    wrong = {command: why for command in commands_in(runbook.read_text()) if (why := what_is_wrong(command))}
    assert wrong == {}


def test_what_is_no_command_is_found() -> None:
    lines = ["$ shardboard migrate --contrct", "$ shardboard keys mke", "$ shardboard shards add s --url \\", "  x"]
    text = "\n".join(["```console", *lines, "```", ""])
    assert [what_is_wrong(command) for command in commands_in(text)] == [
        "no option --contrct",
        "there is no command 'mke'",
        None,
    ]
    assert sum(len(commands_in(runbook.read_text())) for runbook in RUNBOOKS) > 30


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (document.parent / link).exists()] == []
