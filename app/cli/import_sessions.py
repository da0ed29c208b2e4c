"""`shardboard import`: sessions of another system, or of an export."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import click

from app.cli.find_settings import data_option, find_settings
from app.cli.output import json_option, print_json, progress, say
from app.parts import open_parts
from app.settings import Settings
from domain.errors import OperatorError
from service.import_sessions import Imported, import_sessions
from service.session_files import BadRow, Format, read_rows


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--format", "format_", type=click.Choice(["csv", "ndjson"]), help="Found out by itself when not given.")
@click.option(
    "--errors", type=click.Path(dir_okay=False, path_type=Path), help="Also write bad rows here, a JSON object a line."
)
@data_option
@json_option
def import_(file: Path, format_: Format | None, errors: Path | None, data: Path | None, as_json: bool) -> None:
    """Record the sessions of FILE (- for standard input), CSV with a header or a JSON object a line.

    \b
    user_id           a signed 64-bit integer
    username          1 to 100 characters; the name of the player's newest session is shown
    score             an integer
    game_mode         optional, up to 50 characters
    duration_seconds  optional
    played_at         an RFC 3339 instant; not needed where there is a submission_id
    submission_id     a UUIDv7, which dates the session; without one it is derived from the row
    shown_username    optional: the name shown now, where the newest session has another

    Everything good goes in; a bad row is reported with its line number and the reason. Importing the same file twice
    counts once, also when the first time was cut short. Sessions may be of any age, but not of months that were pruned.

    Exit code 0: all rows are in. 1: some rows were bad and all others are in, or it stopped, as the last line says.
    """
    bad_rows: list[BadRow] = []
    with ExitStack() as stack:
        errors_stream = stack.enter_context(_create(errors)) if errors else None

        def report(bad: BadRow) -> None:
            say(f"line {bad.line}: {bad.reason}")
            if as_json:
                bad_rows.append(bad)
            if errors_stream is not None:
                errors_stream.write(json.dumps(asdict(bad), ensure_ascii=False) + "\n")

        lines = stack.enter_context(_open(file))
        imported = asyncio.run(_import(find_settings(data), lines, format_, report))
    if as_json:
        print_json(asdict(imported) | {"bad_rows": [asdict(bad) for bad in sorted(bad_rows, key=lambda b: b.line)]})
    else:
        click.echo(f"{imported.recorded} sessions came in, {imported.duplicates} were in already")
    if imported.bad:
        raise OperatorError(f"bad rows, which are not in: {imported.bad}; their lines and reasons are named above")


async def _import(
    settings: Settings, lines: TextIO, format_: Format | None, report: Callable[[BadRow], None]
) -> Imported:
    async with open_parts(settings, background=False) as parts:
        with progress("rows") as done:
            return await import_sessions(parts, read_rows(lines, format_), report=report, progress=done)


def _create(file: Path) -> TextIO:
    try:
        return file.open("w", encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"{file} cannot be written: {error.strerror}") from error


@contextmanager
def _open(file: Path) -> Iterator[TextIO]:
    """The file's text, line ends as they are; bytes that are no UTF-8 stay visible, so that their row is refused."""
    if str(file) == "-":
        yield io.TextIOWrapper(sys.stdin.buffer, "utf-8-sig", "surrogateescape", newline="")
    else:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            yield stream
