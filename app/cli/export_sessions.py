"""`shardboard export`: every session of all shards in one file, oldest first."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import click

from app.cli.find_settings import data_option, find_settings
from app.cli.fleet import open_still_fleet
from app.cli.output import json_option, print_json, progress, say
from app.settings import Settings
from domain.errors import OperatorError
from service.export_sessions import Exported, export_sessions
from service.session_files import Format, write_rows

_NDJSON_ENDINGS = (".ndjson", ".jsonl")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), default="-")
@click.option("--format", "format_", type=click.Choice(["csv", "ndjson"]), help="As FILE ends, or csv, when not given.")
@data_option
@json_option
def export(file: Path, format_: Format | None, data: Path | None, as_json: bool) -> None:
    """Write every session to FILE (- or nothing for standard output), in the format that `import` reads.

    All shards' sessions, merged in order of time; each with its submission_id, so that importing them into the same
    deployment again changes nothing, and into an empty one makes the same totals, ranks and names. FILE appears when it
    is whole. With --json a summary goes to standard output, or to standard error where the sessions go there.
    """
    settings = find_settings(data)
    with _create(file) as stream:
        exported = asyncio.run(_export(settings, stream, format_ or _format_of(file)))
    to_stdout = str(file) == "-"
    if as_json:
        print_json({"sessions": exported.sessions, "pruned_before": exported.pruned_before}, to_stderr=to_stdout)
    elif not to_stdout:
        click.echo(f"{exported.sessions} sessions are in {file}")
    if exported.pruned_before is not None:
        say(
            f"sessions before {exported.pruned_before:%Y-%m-%d} were pruned: they are not in the file, and totals that "
            "are made from it lack them"
        )


async def _export(settings: Settings, stream: TextIO, format_: Format) -> Exported:
    async with open_still_fleet(settings, "export") as fleet:
        with progress("sessions") as done:
            return await export_sessions(fleet.direct, write_rows(stream, format_), done)


def _format_of(file: Path) -> Format:
    return "ndjson" if file.suffix in _NDJSON_ENDINGS else "csv"


@contextmanager
def _create(file: Path) -> Iterator[TextIO]:
    """A stream into the file, which takes its place at the end of the block; a failure leaves what was there."""
    if str(file) == "-":
        stream = io.TextIOWrapper(sys.stdout.buffer, "utf-8", newline="")
        try:
            yield stream
        finally:
            stream.detach()
        return
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        part.replace(file)
    except OSError as error:
        raise OperatorError(f"{file} was not written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part.unlink()
