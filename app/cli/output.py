"""What commands print: results to stdout, for people or as JSON; what goes on meanwhile to stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

# Where nobody watches a terminal, a line of progress so often.
_LINE_INTERVAL_S = 5.0

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def say(line: str) -> None:
    """A line about what is going on."""
    click.echo(line, err=True)


def print_json(value: object, *, to_stderr: bool = False) -> None:
    """A result for machines; instants and the like as text."""
    click.echo(json.dumps(value, default=str, ensure_ascii=False), err=to_stderr)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A result for people: columns as wide as they need to be, numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    numeric = [bool(rows) and all(isinstance(row[i], int | None) for row in rows) for i in range(len(headings))]
    for line in [list(headings), *cells]:
        parts = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        click.echo("  ".join(parts).rstrip())


def megabytes(size: int | None) -> str | None:
    """A size in bytes for people."""
    return None if size is None else f"{size / 1_000_000:,.1f} MB"


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show how far something is: a bar on a terminal, a line now and then elsewhere.

    Args:
        total: how many there are, where that is known.

    Yields:
        A function that is told how many are done.
    """
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda done: bar.update(task, completed=done)
    else:
        yield _Lines(label, total)


class _Lines:
    def __init__(self, label: str, total: int | None) -> None:
        self._label = label
        self._total = total
        self._next_at = time.monotonic() + _LINE_INTERVAL_S

    def __call__(self, done: int) -> None:
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + _LINE_INTERVAL_S
            of = f" of {self._total} ({100 * done // self._total} %)" if self._total else ""
            say(f"{self._label}: {done}{of}")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
