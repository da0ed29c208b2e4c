"""What clients send reaches the log, but never as more than the text of one record."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re

import pytest
import structlog

from app.log import Format, escape_controls, log_to_stderr, make_formatter
from domain.requests import begin_request

FORGED = "2026-11-24T10:00:00.000000Z INFO app: all is well"
HOSTILE = [
    f"a\n{FORGED}",
    f"a\r\n{FORGED}",
    f"a\u2028{FORGED}",
    f"a\x85{FORGED}",
    f"a\x0b{FORGED}\x0c",
    "\x1b[2J\x1b[31mred\x07",
    "\x9b31m",
    "a\x00b\x7f",
    "\u202egnp.exe",
    "half \ud800 a character",
]
RECORD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (ERROR|INFO) tests: ")


def logged(
    *arguments: object,
    error: BaseException | None = None,
    format_: Format = "text",
    fields: dict[str, object] | None = None,
) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(make_formatter(format_))
    logger = logging.Logger("tests")
    logger.addHandler(handler)
    logger.error("said %s", *arguments, exc_info=error, extra={"fields": fields or {}})
    return stream.getvalue()


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


@pytest.mark.parametrize("text", HOSTILE)
def test_a_record_is_one_line_and_shows_what_is_in_it(text: str) -> None:
    line = logged(text)
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert RECORD.match(line)
    assert line[:-1].isprintable()
    line.encode()


@pytest.mark.parametrize("text", HOSTILE)
def test_no_line_of_a_traceback_passes_for_a_record(text: str) -> None:
    cause = raised(ValueError(text))
    error = RuntimeError(f"broken: {text}")
    error.__cause__ = cause
    error.add_note(text)
    said = logged("something", error=raised(error))
    head, *lines = said.split("\n")[:-1]
    assert RECORD.match(head)
    assert all(line.startswith("  | ") and line.isprintable() for line in lines)
    assert len(said.splitlines()) == len(lines) + 1
    # And it can still be read: where it happened, what it was, and what was behind it.
    assert "  | Traceback (most recent call last):" in lines
    assert any("raise error" in line for line in lines)
    assert any(line.startswith("  | RuntimeError: broken: ") for line in lines)
    assert any(line.startswith("  | ValueError: ") for line in lines)


def test_what_does_no_harm_stays_as_it_is() -> None:
    assert escape_controls("Ada ✨ “ünï” {} \\n %s") == "Ada ✨ “ünï” {} \\n %s"
    assert escape_controls("a\tb\nc\x1bd") == "a\\tb\\nc\\x1bd"
    assert RECORD.sub("", logged("Ada ✨\n")) == "said Ada ✨\n"


def test_fields_follow_the_text_and_cannot_be_taken_for_others() -> None:
    line = logged("it", fields={"code": "OK", "operation": 'a" code=FORGED\n', "duration_ms": 1.25})
    assert RECORD.sub("", line) == 'said it code=OK operation="a\\" code=FORGED\\n" duration_ms=1.25\n'


@pytest.mark.parametrize("text", HOSTILE)
def test_in_json_a_record_is_one_object_whatever_it_says(text: str) -> None:
    line = logged(text, error=raised(ValueError(text)), format_="json", fields={"operation": text})
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert line[:-1].isprintable()
    line.encode()
    record = json.loads(line)
    assert list(record) == ["timestamp", "level", "logger", "event", "operation", "exception"]
    assert (record["level"], record["logger"], record["event"]) == ("error", "tests", f"said {text}")
    assert record["operation"] == text
    assert record["exception"].startswith("Traceback (most recent call last):\n")
    assert f"ValueError: {text}" in record["exception"]


def test_what_is_logged_while_a_request_is_answered_carries_its_id() -> None:
    async def answer() -> str:
        begin_request("graphql", b"the-id").enter()
        return logged("it", format_="json")

    assert json.loads(asyncio.run(answer()))["request_id"] == "the-id"
    assert "request_id" not in json.loads(logged("it", format_="json"))


def test_structlog_writes_as_the_standard_library_does(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        log_to_stderr("json")
        structlog.get_logger("one").warning("said", code="OK")
        logging.getLogger("other").warning("said", extra={"fields": {"code": "OK"}})
    finally:
        root.handlers, root.level = before
        structlog.reset_defaults()
    one, other = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    for record in (one, other):
        del record["timestamp"]
    assert one == {"level": "warning", "logger": "one", "event": "said", "code": "OK"}
    assert other == one | {"logger": "other"}
