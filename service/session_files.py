"""The format in which sessions come from and go to other systems: CSV with a header, or a JSON object a line."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Literal, TextIO

import orjson

from domain.errors import BadUserInput, OperatorError

Format = Literal["csv", "ndjson"]

# A session is dated by its id or, without one, by when it was played. `shown_username` is the name by which the player
# is known now, where the player's newest session has another: somebody gave a new name with an older session.
COLUMNS = (
    "user_id",
    "username",
    "score",
    "game_mode",
    "duration_seconds",
    "played_at",
    "submission_id",
    "shown_username",
)
_REQUIRED = ("user_id", "username", "score")
_DATING = ("played_at", "submission_id")

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot come in: the line on which it begins, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as it stands in the file: the line on which it begins, and its fields without those that are empty."""

    line: int
    fields: Fields


def read_rows(lines: Iterable[str], format_: Format | None) -> Iterator[RawRow | BadRow]:
    """The rows of a file, one after the other.

    Args:
        lines: the text with its line ends as they are (`newline=""`).
        format_: found out from the first line where None.

    Raises:
        OperatorError: it is no such file at all.
    """
    iterator = iter(lines)
    first = next(iterator, "")
    if format_ is None:
        format_ = "ndjson" if first.lstrip().startswith("{") else "csv"
    return (_read_csv if format_ == "csv" else _read_ndjson)(chain([first], iterator))


def write_rows(stream: TextIO, format_: Format) -> Callable[[Iterable[tuple[object, ...]]], None]:
    """Begin a file; the function returned writes rows whose values stand in the order of `COLUMNS`."""
    if format_ == "csv":
        # Lines end as RFC 4180 has it, so that a name with either half of such an end in it is quoted.
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        return writer.writerows

    def write(rows: Iterable[tuple[object, ...]]) -> None:
        for row in rows:
            fields = {name: value for name, value in zip(COLUMNS, row, strict=True) if value is not None}
            stream.write(json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n")

    return write


def parse_integer(value: object, where: str) -> int:
    """The integer that a field holds, as a number or in decimal.

    Raises:
        BadUserInput: it holds another thing.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    raise BadUserInput(f"{where} must be an integer; got {_shown(value)}")


def parse_text(value: object, where: str) -> str:
    """The text that a field holds.

    Raises:
        BadUserInput: it holds another thing.
    """
    if isinstance(value, str):
        return value
    raise BadUserInput(f"{where} must be text; got {_shown(value)}")


def parse_instant(value: object, where: str) -> datetime:
    """The instant that a field holds, in UTC, to the microsecond.

    Raises:
        BadUserInput: it is not an RFC 3339 instant.
    """
    if isinstance(value, str) and _INSTANT.fullmatch(value.strip()):
        try:
            return datetime.fromisoformat(value.strip().upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise BadUserInput(
        f"{where} must be an RFC 3339 instant with its offset, such as 2026-11-23T10:15:00Z; got {_shown(value)}"
    )


def format_instant(instant: datetime) -> str:
    """An instant in UTC, to the millisecond that ids carry."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _read_csv(lines: Iterable[str]) -> Iterator[RawRow | BadRow]:
    reader = csv.reader(lines, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise OperatorError(f"the first line is no CSV header: {error}") from None
    _check_columns(header)
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader, None)
        except csv.Error as error:
            yield BadRow(line, f"no valid CSV: {error}")
            continue
        if values is None:
            return
        if not values:
            continue
        if len(values) != len(header):
            yield BadRow(line, f"has {len(values)} fields and the header {len(header)}")
        else:
            yield RawRow(line, {name: value for name, value in zip(header, values, strict=True) if value != ""})


def _check_columns(header: list[str]) -> None:
    if header == [""] or not header:
        raise OperatorError("the file is empty: there is not even a header")
    unknown = [name for name in header if name not in COLUMNS]
    if unknown:
        raise OperatorError(f"unknown column {unknown[0]!r} in the header; the columns are {', '.join(COLUMNS)}")
    if len(set(header)) < len(header):
        raise OperatorError("a column stands twice in the header")
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise OperatorError(f"the header has no column {missing[0]!r}; needed are {', '.join(_REQUIRED)}")
    if not set(_DATING) & set(header):
        raise OperatorError("the header has neither 'played_at' nor 'submission_id'; one of them is needed")


def _read_ndjson(lines: Iterable[str]) -> Iterator[RawRow | BadRow]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            # Bytes that are no UTF-8 came as lone surrogates; orjson refuses these, and so are they here.
            value = orjson.loads(line)
        except (orjson.JSONDecodeError, UnicodeEncodeError) as error:
            yield BadRow(number, f"no valid JSON: {error}")
            continue
        if not isinstance(value, dict):
            yield BadRow(number, "must be a JSON object")
            continue
        unknown = [name for name in value if name not in COLUMNS]
        if unknown:
            yield BadRow(number, f"unknown field {_shown(unknown[0])}; the fields are {', '.join(COLUMNS)}")
        else:
            yield RawRow(number, {name: field for name, field in value.items() if field is not None})


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
